"""skdl.datasets: Bunches from local files, errors that help where there is no network."""

import subprocess
import sys
from urllib.error import URLError

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy.special import expit
from sklearn.utils import Bunch
from sklearn.utils._param_validation import InvalidParameterError

import skdl
from skdl import datasets

IMAGE_LOADERS = {"mnist": datasets.fetch_mnist, "fashion_mnist": datasets.fetch_fashion_mnist}
BIKE = "season,yr,mnth,hr,holiday,weekday,workingday,weathersit,temp,atemp,hum,windspeed"


@pytest.fixture
def images():
    rng = np.random.RandomState(0)
    return {
        "x_train": rng.randint(256, size=(6, 28, 28)).astype(np.uint8),
        "y_train": rng.randint(10, size=6).astype(np.uint8),
        "x_test": rng.randint(256, size=(3, 28, 28)).astype(np.uint8),
        "y_test": rng.randint(10, size=3).astype(np.uint8),
    }


@pytest.fixture
def npz(tmp_path, images):
    np.savez(tmp_path / "images.npz", **images)
    return tmp_path / "images.npz"


@pytest.fixture
def bike_csv(tmp_path):
    path = tmp_path / "hour.csv"
    path.write_text(
        f"instant,dteday,{BIKE},casual,registered,cnt\n"
        "1,1/1/11,1,0,1,0,0,6,0,1,0.24,0.2879,0.81,0,3,13,16\n"
        "2,1/1/11,1,0,1,1,0,6,0,2,0.22,0.2727,0.8,0.1,8,32,40\n"
    )
    return path


@pytest.fixture
def secom_csv(tmp_path):
    path = tmp_path / "secom.csv"
    path.write_text("orig_row,s0,s1,y\n1,30.5,,-1\n3,29.8,0.5,1\n4,,0.25,-1\n")
    return path


@pytest.fixture
def no_openml(monkeypatch):
    def fail(*args, **kwargs):
        raise URLError("no route to host")

    monkeypatch.setattr(datasets, "fetch_openml", fail)


def check_bunch(fetch, n_samples, n_features, **kwargs):
    bunch = fetch(**kwargs)
    assert isinstance(bunch, Bunch)
    assert bunch.data.shape == (n_samples, n_features)
    assert bunch.target.shape == (n_samples,)
    assert len(bunch.feature_names) == n_features
    assert isinstance(bunch.DESCR, str)
    assert bunch.frame is None

    framed = fetch(as_frame=True, **kwargs)
    assert isinstance(framed.data, pd.DataFrame)
    assert isinstance(framed.target, pd.Series)
    assert framed.frame.shape == (n_samples, n_features + 1)
    assert framed.data.columns.tolist() == bunch.feature_names
    assert_array_equal(framed.data, bunch.data)
    assert_array_equal(framed.target, bunch.target)

    X, y = fetch(return_X_y=True, **kwargs)
    assert_array_equal(X, bunch.data)
    assert_array_equal(y, bunch.target)
    X, y = fetch(return_X_y=True, as_frame=True, **kwargs)
    assert isinstance(X, pd.DataFrame)
    assert isinstance(y, pd.Series)
    return bunch


@pytest.mark.parametrize("name", IMAGE_LOADERS)
@pytest.mark.parametrize(("subset", "n_samples"), [("train", 6), ("test", 3), ("all", 9)])
def test_images_from_a_file(name, subset, n_samples, npz, images):
    bunch = check_bunch(IMAGE_LOADERS[name], n_samples, 784, path=npz, subset=subset)
    parts = [part for part in ("train", "test") if subset in (part, "all")]
    assert_array_equal(bunch.images, np.concatenate([images[f"x_{part}"] for part in parts]))
    assert_array_equal(bunch.target, np.concatenate([images[f"y_{part}"] for part in parts]))
    assert_array_equal(bunch.data.reshape(-1, 28, 28), bunch.images)
    assert bunch.data.dtype == np.uint8
    assert bunch.target.dtype == np.int64
    assert len(bunch.target_names) == 10
    assert bunch.feature_names[29] == "pixel_1_1"


@pytest.mark.parametrize("name", IMAGE_LOADERS)
def test_images_through_keras(name, images, monkeypatch):
    from skdl._backend import keras

    loaded = (images["x_train"], images["y_train"]), (images["x_test"], images["y_test"])
    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", lambda: loaded)
    bunch = IMAGE_LOADERS[name](subset="test")
    assert_array_equal(bunch.images, images["x_test"])


@pytest.mark.parametrize("name", IMAGE_LOADERS)
def test_images_without_a_network(name, monkeypatch):
    from skdl._backend import keras

    def fail():
        raise Exception("URL fetch failure: no route to host")

    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", fail)
    with pytest.raises(ConnectionError, match=rf"(?s)no route to host.*{name}\.npz.*path=.*KERAS_HOME"):
        IMAGE_LOADERS[name]()


def test_images_of_a_wrong_file(tmp_path, images):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.npz.*x_train"):
        datasets.fetch_mnist(path=tmp_path / "nowhere.npz")
    del images["y_test"]
    np.savez(tmp_path / "part.npz", **images)
    with pytest.raises(ValueError, match=r"lacks the arrays \['y_test'\]"):
        datasets.fetch_mnist(path=str(tmp_path / "part.npz"))
    with pytest.raises(InvalidParameterError, match="subset"):
        datasets.fetch_mnist(subset="validation")


def test_bike_sharing_from_a_file(bike_csv):
    bunch = check_bunch(datasets.fetch_bike_sharing, 2, 12, path=bike_csv)
    assert bunch.feature_names == BIKE.split(",")
    assert_array_equal(bunch.target, [16, 40])
    assert_array_equal(bunch.data[1], [1, 0, 1, 1, 0, 6, 0, 2, 0.22, 0.2727, 0.8, 0.1])


def test_bike_sharing_from_openml_has_the_same_columns(bike_csv, monkeypatch):
    table = pd.DataFrame(
        {
            "season": pd.Categorical(["spring", "spring"]),
            "year": [0.0, 0.0],
            "month": [1.0, 1.0],
            "hour": [0.0, 1.0],
            "holiday": pd.Categorical(["False", "False"]),
            "weekday": [6.0, 6.0],
            "workingday": pd.Categorical(["False", "False"]),
            "weather": pd.Categorical(["clear", "misty"]),
            "temp": [0.24, 0.22],
            "feel_temp": [0.2879, 0.2727],
            "humidity": [0.81, 0.8],
            "windspeed": [0.0, 0.1],
            "count": [16.0, 40.0],
        }
    )
    asked = {}

    def fetch(**kwargs):
        asked.update(kwargs)
        return Bunch(frame=table)

    monkeypatch.setattr(datasets, "fetch_openml", fetch)
    fetched = datasets.fetch_bike_sharing(as_frame=True)
    assert (asked["name"], asked["version"]) == ("Bike_Sharing_Demand", 2)
    pd.testing.assert_frame_equal(
        fetched.frame, datasets.fetch_bike_sharing(path=bike_csv, as_frame=True).frame
    )


def test_bike_sharing_of_a_wrong_file(tmp_path, bike_csv):
    bike_csv.write_text(bike_csv.read_text().replace("atemp", "feels"))
    with pytest.raises(
        ValueError, match=r"lacks the columns \['atemp'\]; .* \['instant', 'dteday'.*season, yr"
    ):
        datasets.fetch_bike_sharing(path=bike_csv)


def test_bike_sharing_by_days(tmp_path):
    path = tmp_path / "day.csv"
    names = BIKE.replace("hr,", "")
    path.write_text(
        f"instant,dteday,{names},casual,registered,cnt\n"
        "1,2011-01-01,1,0,1,0,6,0,2,0.344167,0.363625,0.805833,0.160446,331,654,985\n"
    )
    bunch = check_bunch(datasets.fetch_bike_sharing, 1, 11, path=path)
    assert bunch.feature_names == names.split(",")
    assert_array_equal(bunch.target, [985])


def test_secom_from_a_file(secom_csv):
    bunch = check_bunch(datasets.fetch_secom, 3, 2, path=secom_csv)
    assert bunch.feature_names == ["s0", "s1"]
    assert bunch.target_names == ["pass", "fail"]
    assert_array_equal(bunch.target, [-1, 1, -1])
    assert_array_equal(bunch.data, [[30.5, np.nan], [29.8, 0.5], [np.nan, 0.25]])


def test_secom_from_openml(monkeypatch):
    table = pd.DataFrame(
        {"Time": ["a", "b"], "0": [30.5, 29.8], "1": [np.nan, 0.5], "Pass/Fail": pd.Categorical(["-1", "1"])}
    )
    monkeypatch.setattr(datasets, "fetch_openml", lambda **kwargs: Bunch(frame=table))
    bunch = check_bunch(datasets.fetch_secom, 2, 2)
    assert_array_equal(bunch.target, [-1, 1])


def test_secom_as_its_publishers_ship_it(tmp_path, secom_csv):
    path = tmp_path / "uci-secom.csv"
    path.write_text(
        "Time,0,1,Pass/Fail\n2008-07-19 11:55:00,30.5,,-1\n"
        "2008-07-19 12:32:00,29.8,0.5,1\n2008-07-19 13:17:00,,0.25,-1\n"
    )
    bunch = check_bunch(datasets.fetch_secom, 3, 2, path=path)
    expected = datasets.fetch_secom(path=secom_csv)
    assert_array_equal(bunch.data, expected.data)
    assert_array_equal(bunch.target, expected.target)
    assert bunch.feature_names == expected.feature_names


def test_secom_with_words_among_its_cells(secom_csv):
    secom_csv.write_text(secom_csv.read_text().replace("30.5", "broken"))
    secom = datasets.fetch_secom(path=secom_csv, as_frame=True, errors="ignore")
    assert secom.data.columns.tolist() == ["s0", "s1"]
    assert secom.data["s0"].tolist()[:2] == ["broken", "29.8"]
    assert_array_equal(pd.to_numeric(secom.data["s0"], errors="coerce"), [np.nan, 29.8, np.nan])
    with pytest.raises(ValueError, match="needs as_frame=True"):
        datasets.fetch_secom(path=secom_csv, errors="ignore")


def test_secom_of_a_wrong_file(secom_csv):
    text = secom_csv.read_text()
    secom_csv.write_text(text.replace(",-1\n", ",7\n"))
    with pytest.raises(ValueError, match=r"column 'y' has the values \[7, 1\] instead of -1 and 1"):
        datasets.fetch_secom(path=secom_csv)
    secom_csv.write_text(text.replace(",y\n", ",result\n"))
    with pytest.raises(ValueError, match=r"lacks the columns \['Pass/Fail'\]; .*'orig_row', .*'result'"):
        datasets.fetch_secom(path=secom_csv)
    secom_csv.write_text(text.replace("30.5", "broken"))
    with pytest.raises(ValueError, match=r"no numbers.*broken"):
        datasets.fetch_secom(path=secom_csv)


@pytest.mark.usefixtures("no_openml")
@pytest.mark.parametrize("fetch", [datasets.fetch_bike_sharing, datasets.fetch_secom])
def test_tables_without_a_network(fetch):
    with pytest.raises(
        ConnectionError, match=r"no route to host.*a CSV file with .*path=.*SCIKIT_LEARN_DATA"
    ):
        fetch()


def test_credit_default():
    bunch = check_bunch(datasets.make_credit_default, 2000, 3, random_state=0)
    income, age, loan = bunch.data.T
    assert income.min() >= 20_000
    assert income.max() < 70_000
    assert age.min() >= 18
    assert age.max() < 64
    assert (loan / income).max() < 0.2
    assert 0.1 < bunch.target.mean() < 0.2


def test_credit_default_follows_its_formula():
    X, y = datasets.make_credit_default(100_000, noise=2.0, random_state=1, return_X_y=True)
    probability = expit((35 - X[:, 1]) / 2) * expit((X[:, 2] / X[:, 0] - 0.12) / 0.01)
    for low in np.linspace(0, 0.9, 10):
        rows = (probability >= low) & (probability < low + 0.1)
        assert abs(y[rows].mean() - probability[rows].mean()) < 0.04
    X, y = datasets.make_credit_default(noise=0, random_state=1, return_X_y=True)
    assert_array_equal(y, (X[:, 1] < 35) & (X[:, 2] / X[:, 0] > 0.12))


def test_credit_default_repeats_with_a_seed():
    first, second, other = (datasets.make_credit_default(50, random_state=seed).data for seed in (3, 3, 4))
    assert_array_equal(first, second)
    assert (first != other).any()


@pytest.mark.parametrize("target", ["default", "default10yr"])
def test_credit_default_from_a_file(target, tmp_path):
    path = tmp_path / "creditset.csv"
    path.write_text(
        f'"clientid","income","age","loan","LTI","{target}"\n'
        "1,66155.9,59.0,8106.5,0.12,0\n2,34415.2,,6564.7,0.19,1\n"
    )
    bunch = check_bunch(lambda **kwargs: datasets.load_credit_default(path, **kwargs), 2, 3)
    assert_array_equal(bunch.data, [[66155.9, 59.0, 8106.5], [34415.2, np.nan, 6564.7]])
    assert_array_equal(bunch.target, [0, 1])
    made = datasets.make_credit_default(5, as_frame=True)
    assert datasets.load_credit_default(path, as_frame=True).frame.columns.tolist() == [*made.frame]
    assert (bunch.feature_names, bunch.target_names) == (made.feature_names, made.target_names)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        (
            "age",
            "years",
            r"lacks the columns \['age'\]; .* \['income', 'years', 'loan', 'default'\].*default10yr",
        ),
        ("default", "bad", r"lacks the columns \['default'\]"),
        ("age,loan", "a,b", r"lacks the columns \['age', 'loan'\]"),
        (",0\n", ",2\n", r"column 'default' has the values \[2\] instead of 0 and 1"),
        ("59", "old", r"no numbers.*old"),
    ],
)
def test_credit_default_of_a_wrong_file(old, new, match, tmp_path):
    path = tmp_path / "loans.csv"
    path.write_text("income,age,loan,default\n66155.9,59,8106.5,0\n".replace(old, new))
    with pytest.raises(ValueError, match=match):
        datasets.load_credit_default(path)


BLOOD_FAT = " 1  1  84  46  354\n 2  1  73  20  190\n"
HEADER = "#  x09.txt\n#\n5 columns\n2 rows\nIndex\nOne\nWeight in kilograms\nAge in years\nBlood fat\n"


@pytest.mark.parametrize("text", [BLOOD_FAT, HEADER + BLOOD_FAT, HEADER + "\n" + BLOOD_FAT + "\n# end\n"])
def test_blood_fat_from_a_file(text, tmp_path):
    path = tmp_path / "x09.txt"
    path.write_text(text)
    bunch = check_bunch(lambda **kwargs: datasets.load_blood_fat(path, **kwargs), 2, 2)
    assert_array_equal(bunch.data, [[84, 46], [73, 20]])
    assert_array_equal(bunch.target, [354, 190])
    assert bunch.feature_names == ["weight", "age"]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (HEADER + BLOOD_FAT + "3 1 65 52\n", r"columns changed from 5 to 4 at row 3.*Give the place"),
        (BLOOD_FAT + "3 1 65 ? 405\n", r"could not convert string '\?' to float64 at row 2, column 4"),
        (HEADER, "no row of 5 numbers.*index, one, weight, age, blood fat"),
    ],
)
def test_blood_fat_of_a_wrong_file(text, match, tmp_path):
    path = tmp_path / "x09.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=match):
        datasets.load_blood_fat(path)


def test_reached_lazily_and_without_tensorflow():
    assert skdl.datasets is datasets
    assert "datasets" in dir(skdl)
    code = (
        "import sys, skdl; assert 'skdl.datasets' not in sys.modules; skdl.datasets.make_credit_default; "
        "assert not {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
