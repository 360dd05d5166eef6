"""What runs networks on a GPU: most of it without one, the rest where there is one."""

import threading
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from telling_networks import telling_apart
from torch import Tensor

from marey.backends import CudaRunner, Runner, runner_of
from marey.backends._cuda import Answer, ByShape, in_bfloat16
from marey.models import OFF, for_inference, off_efficientnet_lite0

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")


def shares(heads: dict[str, Tensor]) -> dict[str, Tensor]:
    return {head: logits.mean(dim=1).softmax(dim=-1) for head, logits in heads.items()}


def require_near(answers: dict[str, Tensor], exact: dict[str, Tensor]) -> None:
    assert answers.keys() == exact.keys()
    for head, logits in answers.items():
        assert logits.dtype == torch.float32
        assert float(exact[head].std()) > 0.1
    torch.testing.assert_close(shares(answers), shares(exact), rtol=0, atol=0.02)


def test_answers_with_16_bits_are_near_those_with_32(network: OFF) -> None:
    clips = torch.randn(2, 4, 3, 64, 64)
    rounded = in_bfloat16(for_inference(network))
    with torch.inference_mode():
        answers, exact = rounded(clips), for_inference(network)(clips)
    require_near(answers, exact)
    assert not torch.equal(answers["off7"], exact["off7"])


def test_differences_of_frames_are_taken_before_they_are_rounded() -> None:
    network = telling_apart(off_efficientnet_lite0(num_classes=2, modality="rgbdiff"))
    assert isinstance(network, OFF)
    rounded = in_bfloat16(for_inference(network))
    clips = torch.randn(1, 2, 18, 64, 64)
    # So far from zero that 16 bits would not tell the frames apart.
    with torch.inference_mode():
        near, far = rounded(clips.round(decimals=2)), rounded(clips.round(decimals=2) + 2048)
    torch.testing.assert_close(shares(near), shares(far), rtol=0, atol=0.02)


def test_the_network_that_is_run_is_left_as_it_is(network: OFF) -> None:
    before = {name: tensor.dtype for name, tensor in network.state_dict().items()}
    in_bfloat16(for_inference(network))
    assert {name: tensor.dtype for name, tensor in network.state_dict().items()} == before


class Recorder:
    """Answers with the mean of clips, and says which answers were recorded."""

    def __init__(self, most: int = 8, record: Callable[[Tensor], Answer] | None = None) -> None:
        self.made: list[tuple[int, ...]] = []
        self.direct = 0
        self.answer = ByShape(self.directly, record or self.record, most=most)

    def directly(self, clips: Tensor) -> dict[str, Tensor]:
        self.direct += 1
        return {"tsn": clips.mean(dim=(2, 3, 4))[..., None]}

    def record(self, clips: Tensor) -> Answer:
        self.made.append(tuple(clips.shape))
        place = torch.empty_like(clips)

        def replay(clips: Tensor) -> dict[str, Tensor]:
            place.copy_(clips)
            return {"tsn": place.mean(dim=(2, 3, 4))[..., None]}

        return replay

    def answers_rightly(self, *shape: int) -> None:
        clips = torch.randn(*shape)
        assert torch.equal(self.answer(clips)["tsn"], clips.mean(dim=(2, 3, 4))[..., None])


def test_a_shape_is_recorded_when_it_comes_again_and_only_once() -> None:
    recorder = Recorder()
    for count in range(4):
        recorder.answers_rightly(10, 25, 3, 4, 4)
        assert len(recorder.made) == min(count, 1)
    assert recorder.direct == 1
    assert recorder.answer.recorded == (torch.Size((10, 25, 3, 4, 4)),)


@given(st.lists(st.integers(1, 6), max_size=40), st.integers(0, 3))
def test_any_number_of_shapes_is_answered_rightly_and_a_few_are_recorded(
    snippets: list[int], most: int
) -> None:
    recorder = Recorder(most)
    for count in snippets:
        recorder.answers_rightly(2, count, 3, 4, 4)
    repeated = {count for count in snippets if snippets.count(count) > 1}
    assert len(recorder.made) == len(set(recorder.made)) == min(len(repeated), most)
    assert {shape[1] for shape in recorder.made} <= repeated


def test_where_recording_fails_it_is_told_once_and_everything_is_answered_directly() -> None:
    def record(clips: Tensor) -> Answer:
        raise RuntimeError("CUDA out of memory\nand much more")

    recorder = Recorder(record=record)
    recorder.answers_rightly(1, 2, 3, 4, 4)
    with pytest.warns(UserWarning, match=r"could not record .*\(1, 2, 3, 4, 4\) \(CUDA out of mem"):
        recorder.answers_rightly(1, 2, 3, 4, 4)
    for snippets in (2, 3, 3):
        recorder.answers_rightly(1, snippets, 3, 4, 4)
    assert recorder.answer.recorded == ()


def test_threads_do_not_mix_up_their_answers() -> None:
    recorder = Recorder()
    wrong: list[AssertionError] = []

    def ask() -> None:
        try:
            for _ in range(50):
                recorder.answers_rightly(2, 3, 3, 16, 16)
        except AssertionError as error:
            wrong.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(recorder.made) == 1


def test_pytorch_on_a_gpu_is_a_runner_of_its_own(
    network: OFF, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = torch.device("cuda", 0)

    def ready(self: CudaRunner, model: OFF, device: torch.device) -> None:
        self.device, self._network = device, model

    monkeypatch.setattr("marey.backends._choose.choose_device", lambda name: gpu)
    monkeypatch.setattr(CudaRunner, "__init__", ready)
    runner = runner_of(network, backend="torch", device="cuda")
    assert isinstance(runner, CudaRunner)
    assert runner.device == gpu
    assert (runner.modality, runner.sees_motion) == ("rgb", True)
    assert runner.preprocessing == network.preprocessing


@pytest.mark.gpu
@needs_gpu
def test_a_gpu_answers_as_a_processor_does_at_first_and_from_the_recording(network: OFF) -> None:
    runner = runner_of(network, backend="torch", device="cuda")
    assert isinstance(runner, CudaRunner)
    assert isinstance(runner, Runner)
    plain = for_inference(network)
    for count in range(4):
        clips = torch.randn(2, 5, 3, 64, 64)
        with torch.inference_mode():
            exact = plain(clips)
        answers = runner(clips.cuda())
        require_near({head: logits.cpu() for head, logits in answers.items()}, exact)
        assert len(runner.shapes) == min(count, 1)


@pytest.mark.gpu
@needs_gpu
def test_an_answer_of_a_gpu_stays_when_the_next_one_comes(network: OFF) -> None:
    runner = CudaRunner(network, torch.device("cuda"))
    shapes = [(2, 5), (1, 3)] * 3
    clips = [torch.randn(*shape, 3, 64, 64, device="cuda") for shape in shapes]
    answers = [runner(clip) for clip in clips]
    kept = [{head: logits.clone() for head, logits in heads.items()} for heads in answers]
    again = [runner(clip) for clip in clips]
    torch.testing.assert_close(answers, kept, rtol=0, atol=0)
    torch.testing.assert_close(again, kept, rtol=1e-2, atol=1e-2)
    assert len(runner.shapes) == 2


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("bits", [True, False])
def test_a_gpu_without_16_bits_computes_with_32(
    network: OFF, bits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: bits)
    runner = CudaRunner(network, torch.device("cuda"))
    assert runner.precision == ("bfloat16" if bits else "float32")
