"""What becomes of state dicts of BN-Inception, and what is said about them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from made_files import caffemodel, pth
from torch import Tensor

from marey.errors import CheckpointError, UsageError
from marey.importing import Imported, import_weights

CLASSES = ["run", "sit", "walk"]
State = dict[str, Tensor]
Make = Callable[..., State]


@pytest.fixture
def imported(tmp_path: Path) -> Callable[..., Imported]:
    def run(state: State, **options) -> Imported:
        path = pth(tmp_path / "weights.pth", state)
        return import_weights(path, **({"modality": "rgb", "classes": CLASSES} | options))

    return run


@pytest.mark.parametrize("prefix", ["", "module.", "base_model.", "module.base_model."])
@pytest.mark.parametrize("classifier", ["fc-action", "fc_action", "last_linear", "fc", "new_fc"])
def test_every_spelling_of_a_classifier_is_known(
    prefix: str, classifier: str, state: Make, imported: Callable[..., Imported]
) -> None:
    given = state(classifier, prefix=prefix)
    network, report, _ = imported(given)
    assert len(report.taken) == len(given)
    assert network.classes == tuple(CLASSES)
    assert not network.training
    assert torch.equal(network.head.weight, given[f"{prefix}{classifier}.weight"])
    slips = (104.0, 117.0, 128.0)
    assert network.preprocessing.mean == slips
    is_tsn = "base_model" in prefix or classifier == "new_fc"
    assert report.source == ("TSN of tsn-pytorch" if is_tsn else "BN-Inception in PyTorch")
    assert any("104, 117, 128" in remark for remark in report.remarks)


def test_old_and_new_batch_norms_give_the_same_network(
    state: Make, imported: Callable[..., Imported]
) -> None:
    new = state()
    old = {k: v[None] if "_bn." in k else v for k, v in new.items()}
    counters = {
        k.replace("bias", "num_batches_tracked"): torch.tensor(7) for k in new if "_bn.b" in k
    }
    first, second = imported(new), imported(old | counters)
    ours = second.network.state_dict()
    assert all(torch.equal(v, ours[k]) for k, v in first.network.state_dict().items())
    assert set(second.report.left_out) == set(counters)
    assert set(second.report.left_out.values()) == {"counters of batches, which nothing reads"}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_numbers_of_any_width_become_those_of_32_bits(
    dtype: torch.dtype, state: Make, imported: Callable[..., Imported]
) -> None:
    network = imported({k: v.to(dtype) for k, v in state().items()}).network
    assert {v.dtype for k, v in network.state_dict().items() if "num_" not in k} == {torch.float32}


def test_a_tsn_of_caffe_sees_what_caffe_subtracts(state: Make, tmp_path: Path) -> None:
    path = tmp_path / "tsn"
    path.write_bytes(caffemodel({k: v.contiguous() for k, v in state().items()}))
    network, report, _ = import_weights(path, modality="rgb", classes=CLASSES)
    assert report.source == "TSN of Caffe"
    assert "fc-action.weight" in report.taken
    assert network.preprocessing.mean == (104.0, 117.0, 123.0)
    assert not report.remarks


@pytest.mark.parametrize("classifier", ["fc", "last_linear"])
@pytest.mark.parametrize(("modality", "channels"), [("rgb", 3), ("flow", 10), ("rgbdiff", 15)])
def test_imagenet_is_a_beginning(
    classifier: str,
    modality: str,
    channels: int,
    state: Make,
    imported: Callable[..., Imported],
) -> None:
    given = state(classifier, classes=1000)
    colours = torch.arange(3.0).view(1, 3, 1, 1).expand(64, 3, 7, 7)
    given["conv1_7x7_s2.weight"] = colours
    torch.manual_seed(1)
    network, report, _ = imported(given, modality=modality)
    torch.manual_seed(2)
    again = imported(given, modality=modality).network.state_dict()
    assert set(report.left_out) == {f"{classifier}.weight", f"{classifier}.bias"}
    assert set(report.made) == {"head.weight", "head.bias"}
    first = network.backbone.conv1_7x7_s2.conv.weight
    if modality == "rgb":
        assert torch.equal(first, colours)
    else:
        assert torch.equal(first, torch.ones(64, channels, 7, 7))
    assert float(network.head.weight.detach().std()) == pytest.approx(0.001, rel=0.1)
    assert all(torch.equal(v, again[k]) for k, v in network.state_dict().items())


def test_the_classifier_of_imagenet_is_taken_for_as_many_classes(
    state: Make, imported: Callable[..., Imported]
) -> None:
    report = imported(state(classes=1000), classes=[str(n) for n in range(1000)]).report
    assert not report.left_out
    assert report.taken["last_linear.bias"] == "head.bias"


def test_other_classes_and_another_modality_are_wrong_usage(
    state: Make, imported: Callable[..., Imported]
) -> None:
    with pytest.raises(UsageError, match="tells 5 classes apart, but 3 are named"):
        imported(state(classes=5))
    with pytest.raises(UsageError, match="reads 10 channels, but rgb has 3; give --modality flow"):
        imported(state(channels=10))
    with pytest.raises(UsageError, match="reads 4 channels, but rgb has 3; no modality"):
        imported(state(channels=4))
    with pytest.raises(UsageError, match="did you mean 'tsn_bn_inception'"):
        imported(state(), model="tsn_bninception")


def test_what_is_missing_left_over_or_of_another_shape_is_named(
    state: Make, imported: Callable[..., Imported]
) -> None:
    given = state()
    del given["inception_3a_1x1.weight"]
    given["layer5.weight"] = torch.ones(2, 4)
    given["inception_3b_1x1.bias"] = torch.ones(65)
    with pytest.raises(CheckpointError) as caught:
        imported(given)
    message = str(caught.value)
    assert "1 missing (inception_3a_1x1.weight (64, 192, 1, 1))" in message
    assert "1 left over (layer5.weight (2, 4))" in message
    assert "1 of another shape (inception_3b_1x1.bias (65,), not (64,))" in message
    assert "weights.pth does not fit tsn_bn_inception" in message


def test_no_more_than_five_names_are_shown(state: Make, imported: Callable[..., Imported]) -> None:
    with pytest.raises(CheckpointError, match=r"9 left over \((x\d \(1,\), ){5}\.\.\.\)"):
        imported(state() | {f"x{number}": torch.ones(1) for number in range(9)})


def test_a_name_overrides_what_names_in_the_file_tell(
    state: Make, imported: Callable[..., Imported]
) -> None:
    with pytest.raises(CheckpointError, match=r"does not fit off_bn_inception;.* missing \(motion"):
        imported(state(), model="off_bn_inception")


def test_two_networks_in_one_file_are_an_error(
    state: Make, imported: Callable[..., Imported]
) -> None:
    with pytest.raises(CheckpointError, match=r"fc\.weight and new_fc\.weight"):
        imported(state("fc") | state("new_fc", prefix=""))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_values_that_are_no_numbers_are_damage(
    value: float, state: Make, imported: Callable[..., Imported]
) -> None:
    given = state()
    given["conv2_3x3.bias"] = torch.full((192,), value, dtype=torch.float64)
    with pytest.raises(CheckpointError, match=r"conv2_3x3\.bias holds values that are no numbers"):
        imported(given)


def test_an_import_leaves_the_global_seed_alone(
    state: Make, imported: Callable[..., Imported]
) -> None:
    before = torch.get_rng_state()
    imported(state())
    assert torch.equal(torch.get_rng_state(), before)
