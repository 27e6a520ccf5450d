"""The canonical form of a traced function, and what its operations may do.

What a training or a prediction computes is in its graph: operations, attributes,
constants, and which variable each capture is. Two functions with equal canonical forms
compute the same from the same arguments and captures.
"""

import hashlib

from skdl._backend import private, tf

# Of a program that has run, measured over dense networks: graphs, kernels and XLA code.
_BYTES_PER_NODE = 8192

# Attributes that name things or keep records, and mean nothing to the operation.
_RECORDS = frozenset(
    {
        "_backward_function_name",
        "_forward_function_name",
        "_gradient_op_type",
        "_user_specified_name",
        "backward_function_name",
        "forward_function_name",
    }
)

# Operations with a state that is all in the variables that a function captures.
_STATE_IN_VARIABLES = frozenset(
    {
        "AssignAddVariableOp",
        "AssignSubVariableOp",
        "AssignVariableOp",
        "Case",
        "If",
        "ReadVariableOp",
        "ResourceGather",
        "ResourceGatherNd",
        "ResourceScatterAdd",
        "ResourceScatterUpdate",
        "StatefulPartitionedCall",
        "VariableShape",
        "While",
    }
)

_WRITES = frozenset(
    {
        "AssignAddVariableOp",
        "AssignSubVariableOp",
        "AssignVariableOp",
        "ResourceScatterAdd",
        "ResourceScatterUpdate",
    }
)

# Calls of Python that TensorFlow does not count as stateful.
_CALLS_PYTHON = frozenset({"PyFuncStateless"})

# Operations that compute the same in an XLA program as outside of one, but for rounding.
# Not listed, and so never compiled by XLA: what checks its input and raises (assertions,
# CheckNumerics, gathers and scatters, decompositions, integer division), what has a state,
# what XLA can't compile, and what nobody has looked at.
_SAFE_IN_XLA = frozenset(
    """
    Abs Acos Acosh Add AddN AddV2 All Any ArgMax ArgMin Asin Asinh AssignAddVariableOp
    AssignSubVariableOp AssignVariableOp Atan Atan2 Atanh AvgPool AvgPoolGrad BatchMatMulV2
    BatchMatMulV3 BiasAdd BiasAddGrad Bitcast BitwiseAnd BitwiseOr BitwiseXor BroadcastArgs
    BroadcastGradientArgs BroadcastTo Case Cast Ceil ClipByValue Concat ConcatV2 Const Conv2D
    Conv2DBackpropFilter Conv2DBackpropInput Cos Cosh Cumprod Cumsum DepthwiseConv2dNative
    DepthwiseConv2dNativeBackpropFilter DepthwiseConv2dNativeBackpropInput DivNoNan Einsum Elu EluGrad
    Equal Erf Erfc Exp ExpandDims Expm1 Fill Floor FusedBatchNormGradV3 FusedBatchNormV3 Greater
    GreaterEqual Identity IdentityN If Inv InvGrad Invert IsFinite IsInf IsNan L2Loss LeakyRelu
    LeakyReluGrad LeftShift Less LessEqual Lgamma Log Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr
    MatMul Max MaxPool MaxPoolGrad Maximum Mean Min Minimum Mul MulNoNan Neg NextAfter NoOp NotEqual
    OneHot OnesLike Pack Pad PadV2 PartitionedCall Pow PreventGradient Prod Range Rank ReadVariableOp
    RealDiv Reciprocal ReciprocalGrad Relu Relu6 Relu6Grad ReluGrad Reshape ReverseV2 RightShift Rint
    Round Rsqrt RsqrtGrad Select SelectV2 Selu SeluGrad Shape ShapeN Sigmoid SigmoidGrad Sign Sin Sinh
    Size Slice Snapshot Softmax SoftmaxCrossEntropyWithLogits Softplus SoftplusGrad Softsign
    SoftsignGrad Split SplitV Sqrt SqrtGrad Square SquaredDifference Squeeze StatefulPartitionedCall
    StatelessIf StatelessRandomBinomial StatelessRandomGetKeyCounter StatelessRandomNormalV2
    StatelessRandomUniformFullIntV2 StatelessRandomUniformIntV2 StatelessRandomUniformV2
    StatelessTruncatedNormalV2 StatelessWhile StopGradient StridedSlice StridedSliceGrad Sub Sum Tan
    Tanh TanhGrad TensorListElementShape TensorListFromTensor TensorListGetItem TensorListLength
    TensorListPopBack TensorListPushBack TensorListReserve TensorListSetItem TensorListStack Tile
    Transpose Unpack VariableShape While Xdivy Xlog1py Xlogy ZerosLike
    """.split()
)

# Of these, what treats rows alone or sums over them. XLA then computes the same of a batch that is
# filled up to more rows. Not listed: what draws numbers, looks at the order of rows, or adds them
# up by an index, and what nobody has looked at.
_SAFE_FOR_FEWER_ROWS = frozenset(
    """
    Abs AddN AddV2 ArgMax AssignAddVariableOp AssignSubVariableOp AssignVariableOp BiasAdd BiasAddGrad Bitcast
    BitwiseAnd BroadcastGradientArgs BroadcastTo Cast ConcatV2 Const DivNoNan DynamicStitch Elu EluGrad Equal
    Erfc Exp ExpandDims Fill FloorMod GatherV2 Greater GreaterEqual Identity IdentityN LeakyRelu LeakyReluGrad
    Less LessEqual Log Log1p LogSoftmax LogicalAnd LogicalNot MatMul Maximum Mean Minimum Mul Neg NoOp
    NotEqual Pack Pow Prod Range ReadVariableOp RealDiv Reciprocal Relu Relu6 Relu6Grad ReluGrad Reshape Rsqrt
    RsqrtGrad Select SelectV2 Selu SeluGrad Shape Sigmoid SigmoidGrad Sign Slice Softmax
    SoftmaxCrossEntropyWithLogits Softplus Softsign SoftsignGrad SparseSoftmaxCrossEntropyWithLogits Sqrt
    Square SquaredDifference Squeeze StopGradient StridedSlice Sub Sum Tanh TanhGrad Tile Unpack ZerosLike
    """.split()
)

# How the names begin of those that draw random numbers.
_RANDOM = ("StatelessRandom", "StatelessTruncated")

# Operations that may raise for values of the data, but not where they compute with shapes.
_SAFE_FOR_SHAPES = frozenset(
    {"ConcatOffset", "DynamicStitch", "FloorDiv", "FloorMod", "GatherV2", "InvertPermutation"}
)
_SHAPES = frozenset({"Const", "Rank", "Shape", "ShapeN", "Size"})

# Keras's AUC clips the places to which it adds.
_SAFE_IN_KERAS = frozenset({"UnsortedSegmentSum"})

# Operations through which class labels pass unchanged.
_SAME_VALUES = frozenset({"Cast", "ExpandDims", "Identity", "Reshape", "Squeeze", "StopGradient"})
_SPARSE_LABELS = "SparseSoftmaxCrossEntropyWithLogits"


class _Canonical:
    """Writes functions down with numbers in place of names."""

    def __init__(self, library):
        self.library = {function.signature.name: function for function in library}
        self.numbers, self.written = {}, []

    def function(self, definition):
        names = {arg.name: f"a{i}" for i, arg in enumerate(definition.signature.input_arg)}
        names.update({node.name: f"n{i}" for i, node in enumerate(definition.node_def)})
        signature = definition.signature
        self.written.append(
            repr(
                (
                    [arg.type for arg in signature.input_arg],
                    [arg.type for arg in signature.output_arg],
                    [self.node(node, names) for node in definition.node_def],
                    [_renamed(definition.ret[arg.name], names) for arg in signature.output_arg],
                    sorted(_renamed(name, names) for name in definition.control_ret.values()),
                    self.attributes(definition.attr, names),
                )
            )
        )

    def node(self, node, names):
        data = [_renamed(name, names) for name in node.input if not name.startswith("^")]
        # Their order has no meaning.
        control = sorted(_renamed(name, names) for name in node.input if name.startswith("^"))
        return node.op, self.called(node.op), node.device, data, control, self.attributes(node.attr, names)

    def attributes(self, attributes, names):
        return [
            (key, self.value(attributes[key], names)) for key in sorted(attributes) if key not in _RECORDS
        ]

    def value(self, value, names):
        kind = value.WhichOneof("value")
        if kind == "func":
            return self.called(value.func.name), self.attributes(value.func.attr, names)
        if kind == "list" and value.list.func:
            return [(self.called(f.name), self.attributes(f.attr, names)) for f in value.list.func]
        if kind == "list" and value.list.s:
            return [_colocation(text, names) for text in value.list.s]
        return value.SerializeToString(deterministic=True)

    def called(self, name):
        """Return the number of a library function, which is written down once."""
        if name not in self.library:
            return None
        if name not in self.numbers:
            self.numbers[name] = len(self.numbers)
            self.function(self.library[name])
        return self.numbers[name]


def _renamed(name, names):
    caret = "^" if name.startswith("^") else ""
    node, _, rest = name.removeprefix("^").partition(":")
    return f"{caret}{names.get(node, node)}:{rest}"


def _colocation(text, names):
    if not text.startswith(b"loc:@"):
        return text
    return f"loc:@{names.get(text[5:].decode(), text)}"


class Graph:
    """The graph of a traced function, and those of the functions that it calls.

    Parameters
    ----------
    concrete : tf.types.experimental.ConcreteFunction

    Attributes
    ----------
    operations : set of str
        Names of all operations, those of called functions included.
    size : int
        About how many bytes of memory the function takes once it has run.
    """

    def __init__(self, concrete):
        self._concrete = concrete
        self._library = concrete.graph.as_graph_def().library.function
        main = concrete.function_def
        nodes = [node.op for function in (main, *self._library) for node in function.node_def]
        self.operations = set(nodes) - {function.signature.name for function in self._library}
        self.size = len(nodes) * _BYTES_PER_NODE

    def digest(self, captures):
        """Return what the function computes, as a short value.

        Parameters
        ----------
        captures : list
            What each captured tensor stands for: a number for a variable of the model, or
            the type and shape of a tensor that is handed in.

        Returns
        -------
        bytes
            Equal for functions that compute the same.
        """
        canonical = _Canonical(self._library)
        canonical.function(self._concrete.function_def)
        return hashlib.sha256(repr((captures, canonical.written)).encode()).digest()

    def has_state(self):
        """Whether the function has a state besides the variables that it captures.

        Calls of Python count: they see the objects of the model that was traced.
        """
        return any(map(private.is_stateful, self.operations - _STATE_IN_VARIABLES)) or bool(
            self.operations & _CALLS_PYTHON
        )

    def writes(self):
        """Whether the function changes variables that it captures."""
        return bool(self.operations & _WRITES)

    def safe_in_xla(self, *, keras_only, drawing):
        """Whether XLA computes the same as TensorFlow's operations do one by one.

        Class labels must be in range besides, see `label_bounds`.

        Parameters
        ----------
        keras_only : bool
            Whether it was traced from a model of Keras's own parts alone.
        drawing : bool
            Whether random numbers may be XLA's, which are others than TensorFlow's.
        """
        if not drawing and any(name.startswith(_RANDOM) for name in self.operations):
            return False
        others = self.operations - _SAFE_IN_XLA - {_SPARSE_LABELS}
        if keras_only:
            others -= _SAFE_IN_KERAS
        if self.label_bounds() is None or not others <= _SAFE_FOR_SHAPES:
            return False
        if any(node.op in others for function in self._library for node in function.node_def):
            return False
        known = {}
        return all(
            _divides_by_constant(op) or _is_shape(op, known)
            for op in self._concrete.graph.get_operations()
            if op.type in others
        )

    def safe_for_fewer_rows(self):
        """Whether XLA computes the same of a batch that is filled up to a larger number of rows.

        Only of what is `safe_in_xla`.
        """
        return self.operations <= _SAFE_FOR_FEWER_ROWS

    def label_bounds(self):
        """Return which arguments are class labels, and how many classes there are.

        TensorFlow's sparse cross-entropy raises for a label out of range; XLA's goes on
        with NaN or with nonsense. So the labels are looked at before a training by XLA.

        Returns
        -------
        list of (int, int), or None
            Position of an argument, and the number of classes. None where labels are
            computed in a way that is not followed.
        """
        if any(node.op == _SPARSE_LABELS for function in self._library for node in function.node_def):
            return None
        graph, bounds = self._concrete.graph, []
        arguments = {id(tensor): i for i, tensor in enumerate(graph.inputs)}
        for op in graph.get_operations():
            if op.type != _SPARSE_LABELS:
                continue
            features, labels = op.inputs
            while labels.op.type in _SAME_VALUES:
                labels = labels.op.inputs[0]
            if id(labels) not in arguments or features.shape[-1] is None:
                return None
            bounds.append((arguments[id(labels)], features.shape[-1]))
        return bounds


def _divides_by_constant(op):
    """Whether it is a division of integers by what is known not to be zero."""
    if op.type not in ("FloorDiv", "FloorMod"):
        return False
    divisor = tf.get_static_value(op.inputs[1])
    return divisor is not None and bool((divisor != 0).all())


def _is_shape(op, known):
    """Whether what an operation computes follows from constants and shapes alone."""
    if op not in known:
        known[op] = False  # in a loop
        known[op] = op.type in _SHAPES or (
            bool(op.inputs) and all(_is_shape(tensor.op, known) for tensor in op.inputs)
        )
    return known[op]
