import torch
from torch.testing import assert_close

from marey.data import Preprocessing, normalise

CAFFE = Preprocessing(colour="bgr", mean=(104.0, 117.0, 123.0), std=(1.0,))


def pixel(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.uint8).reshape(-1, 1, 1)


def test_caffe_networks_see_blue_green_red_minus_their_means() -> None:
    seen = normalise(pixel(10, 20, 30), CAFFE, modality="rgb")
    assert seen.flatten().tolist() == [30 - 104, 20 - 117, 10 - 123]


def test_each_frame_of_a_snippet_is_turned_by_itself() -> None:
    seen = normalise(pixel(1, 2, 3, 4, 5, 6), CAFFE, modality="rgbdiff")
    assert seen.flatten().tolist() == [3 - 104, 2 - 117, 1 - 123, 6 - 104, 5 - 117, 4 - 123]


def test_flow_keeps_its_order() -> None:
    flow = Preprocessing(colour="bgr", mean=(128.0,), std=(1.0,))
    seen = normalise(pixel(0, 128, 255, 1), flow, modality="flow")
    assert seen.flatten().tolist() == [-128, 0, 127, -127]


def test_lite_networks_see_red_green_blue_around_zero() -> None:
    lite = Preprocessing(colour="rgb", mean=(127.0,), std=(128.0,))
    assert_close(
        normalise(pixel(255, 127, 0), lite, modality="rgb").flatten(),
        torch.tensor([1.0, 0.0, -127 / 128]),
    )


def test_the_frames_themselves_do_not_change() -> None:
    frames = pixel(1, 2, 3)
    normalise(frames, CAFFE, modality="rgb")
    assert frames.flatten().tolist() == [1, 2, 3]
