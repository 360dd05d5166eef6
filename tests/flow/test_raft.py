from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from marey.errors import UsageError
from marey.flow._raft import PAIRS_AT_ONCE, raft_small
from marey.flow._raft_correlation import LEVELS, RADIUS, Correlation
from marey.flow._raft_network import ConvGRU, RAFTSmall
from marey.flow._raft_weights import load_raft_small
from marey.video import VideoReader

RELEASED = Path(__file__).parents[3] / "shared" / "weights" / "raft_small" / "raft-small.pth"
CLIPS = Path(__file__).parents[2] / "src" / "marey" / "clips"
WINDOW = 2 * RADIUS + 1


@pytest.fixture(scope="module")
def released() -> Path:
    if not RELEASED.exists():
        pytest.skip(f"the weights of RAFT-small are not at {RELEASED}")
    return RELEASED


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights that mean nothing, in the form of the released ones."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "untrained.pth"
    torch.save(RAFTSmall().state_dict(), path)
    return path


def texture(height: int, width: int) -> np.ndarray:
    """Return smooth random colours, with structure of about eight pixels."""
    dice = torch.Generator().manual_seed(3)
    coarse = torch.rand(1, 3, height // 8 + 1, width // 8 + 1, generator=dice)
    smooth = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=False)
    return (255 * smooth[0]).clamp(0, 255).byte().permute(1, 2, 0).numpy()


def moving(steps: list[tuple[int, int]], height: int = 120, width: int = 152) -> np.ndarray:
    """Return frames whose content moves by each of the steps (x, y) in turn."""
    wide = texture(height + 40, width + 40)
    x, y = 20, 20
    frames = [wide[y : y + height, x : x + width]]
    for right, down in steps:
        x, y = x - right, y - down
        frames.append(wide[y : y + height, x : x + width])
    return np.stack(frames)


def end_point_error(flow: np.ndarray, truth: np.ndarray | list[int] | tuple[int, int]) -> float:
    return float(np.linalg.norm(flow - np.asarray(truth), axis=-1).mean())


def test_each_pair_of_a_known_film_has_its_known_motion(released: Path) -> None:
    steps = [(3, -2), (-3, 2), (0, 5), (-6, 0), (0, 0), (1, 1), (2, 2), (-4, -1), (0, 3)]
    flow = raft_small(released)(moving(steps))
    assert flow.dtype == np.float32
    assert flow.shape == (9, 120, 152, 2)
    assert len(steps) > PAIRS_AT_ONCE, "so that features are handed on from batch to batch"
    for pair, step in zip(flow, steps, strict=True):
        assert end_point_error(pair, step) < 0.25, step


def test_a_still_pair_does_not_move(released: Path) -> None:
    flow = raft_small(released)(moving([(0, 0)]))
    assert np.abs(flow).max() < 0.5
    assert end_point_error(flow, (0, 0)) < 0.1


def test_more_iterations_come_closer(released: Path) -> None:
    frames = moving([(6, 4)])
    errors = [
        end_point_error(raft_small(released, iterations=n)(frames), (6, 4)) for n in (1, 3, 12)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.25


def test_the_released_weights_want_x_before_y(
    released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other order runs too, but what it says is wrong."""
    frames = moving([(3, -2)])
    right = end_point_error(raft_small(released)(frames), (3, -2))
    around = Correlation.around

    def transposed(self: Correlation, flow: Tensor) -> Tensor:
        windows = around(self, flow).unflatten(1, (LEVELS, WINDOW, WINDOW))
        return windows.transpose(2, 3).flatten(1, 3)

    monkeypatch.setattr(Correlation, "around", transposed)
    wrong = end_point_error(raft_small(released)(frames), (3, -2))
    assert right < 0.25
    assert wrong > 1


@pytest.mark.parametrize("method", ["DIS", "TV-L1"])
def test_a_real_clip_moves_as_opencv_says(released: Path, method: str) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    with VideoReader(CLIPS / "climb_stairs.avi") as video:
        frames = video.frames_at([10, 11])
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    if method == "DIS":
        theirs = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    elif hasattr(cv2, "optflow"):
        theirs = cv2.optflow.DualTVL1OpticalFlow_create()
    else:
        pytest.skip("this OpenCV has no contributed modules")
    expected = theirs.calc(*grey, None)
    ours = raft_small(released)(frames)[0]
    moved = end_point_error(expected, (0, 0))
    error = end_point_error(ours, expected)
    # Seen: 0.57 px to DIS and 0.32 px to TV-L1, in a scene that moves by 1.1 to 1.3 px.
    assert moved > 1
    assert error < 0.7
    assert error < end_point_error(ours[..., ::-1], expected) / 2
    assert error < end_point_error(-ours, expected) / 2


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 3))
def test_frames_of_any_size_give_flow_of_that_size(
    untrained: Path, height: int, width: int, count: int
) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)
    flow = raft_small(untrained, iterations=1)(frames)
    assert flow.shape == (count - 1, height, width, 2)
    assert flow.dtype == np.float32
    assert np.isfinite(flow).all()


@pytest.mark.parametrize(("height", "width"), [(120, 152), (117, 149), (121, 159), (50, 152)])
def test_padding_moves_nothing(released: Path, height: int, width: int) -> None:
    """Motion of one half alone stays in its half when the frame has to be padded."""
    frames = moving([(4, 0)], height, width)
    frames[1, :, : width // 2] = frames[0, :, : width // 2]
    x = raft_small(released)(frames)[0, :, :, 0]
    assert np.abs(x[:, : width // 2 - 12]).mean() < 0.5
    assert np.abs(x[:, width // 2 + 12 :] - 4).mean() < 0.5


def test_padding_repeats_the_edges_by_halves(untrained: Path) -> None:
    """A frame that its own edges complete to multiples of eight has the flow it had."""
    frames = np.random.default_rng(0).integers(0, 256, (2, 77, 93, 3), np.uint8)
    by_hand = np.pad(frames, ((0, 0), (1, 2), (1, 2), (0, 0)), mode="edge")
    assert by_hand.shape == (2, 80, 96, 3)
    method = raft_small(untrained, iterations=2)
    expected = method(by_hand)[:, 1:-2, 1:-2]
    np.testing.assert_array_equal(method(frames), expected)


def test_a_pair_has_the_same_flow_in_any_company(untrained: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2 * PAIRS_AT_ONCE + 2, 64, 72, 3), np.uint8)
    method = raft_small(untrained, iterations=2)
    together = method(frames)
    for pair in range(len(frames) - 1):
        alone = method(frames[pair : pair + 2])[0]
        np.testing.assert_allclose(together[pair], alone, atol=1e-4)


def test_frames_may_be_views_that_cannot_be_written(untrained: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    method = raft_small(untrained, iterations=1)
    mirrored = frames[:, :, ::-1]
    mirrored.flags.writeable = False
    np.testing.assert_array_equal(method(mirrored), method(mirrored.copy()))


def test_nothing_is_learnt(untrained: Path) -> None:
    network = load_raft_small(untrained)
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())


def test_a_window_holds_columns_of_products_around_its_place() -> None:
    """With features of 1, the products are the next frame's features themselves."""
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(24.0), indexing="ij")
    after = (100 * rows + columns)[None, None]
    flow = torch.zeros(1, 2, 16, 24)
    flow[:, 0], flow[:, 1] = 2, -1
    windows = Correlation(torch.ones(1, 1, 16, 24), after).around(flow)
    window = windows.unflatten(1, (LEVELS, WINDOW, WINDOW))[0, 0, :, :, 7, 9]
    expected = [[100 * (6 + down) + 11 + right for down in range(-3, 4)] for right in range(-3, 4)]
    assert window.tolist() == expected


def test_a_window_between_places_is_interpolated_at_each_level() -> None:
    """Of a ramp of slope 1, level n holds the means of 2^n places, at 2^n times the distance."""
    after = torch.arange(80.0).expand(1, 1, 64, 80)
    flow = torch.zeros(1, 2, 64, 80)
    flow[:, 0] = 0.25
    windows = Correlation(torch.ones(1, 1, 64, 80), after).around(flow)
    windows = windows.unflatten(1, (LEVELS, WINDOW, WINDOW))[0, :, :, :, 32, 40]
    for level in range(LEVELS):
        scale = 2**level
        # Place X of a level averages the finest from scale X on: its mean is half a step later.
        expected = 40.25 + scale * torch.arange(-3.0, 4.0) + (scale - 1) / 2
        torch.testing.assert_close(windows[level], expected[:, None].expand(7, 7))


def test_outside_of_the_frame_nothing_is_alike() -> None:
    ones = torch.ones(1, 1, 8, 8)
    window = Correlation(ones, ones).around(torch.zeros(1, 2, 8, 8))
    corner = window.unflatten(1, (LEVELS, WINDOW, WINDOW))[0, 0, :, :, 0, 0]
    inside = torch.zeros(7, 7)
    inside[3:, 3:] = 1
    assert torch.equal(corner, inside)
    for far in (50.0, -50.0, 1e9):
        assert not Correlation(ones, ones).around(torch.full((1, 2, 8, 8), far)).any()


def test_products_are_divided_by_the_root_of_their_length() -> None:
    ones = torch.ones(1, 16, 8, 8)
    window = Correlation(ones, ones).around(torch.zeros(1, 2, 8, 8))
    assert window.max() == 4  # 16 products of 1, over the root of 16.


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 30))
def test_windows_are_what_sampling_each_point_gives(seed: int, reach: float) -> None:
    dice = torch.Generator().manual_seed(seed)
    before, after = torch.randn(2, 2, 5, 19, 17, generator=dice)
    flow = reach * torch.randn(2, 2, 19, 17, generator=dice)
    expected = []
    products = torch.einsum("bcij,bckl->bijkl", before, after).flatten(0, 2)[:, None] / 5**0.5
    steps = torch.arange(-RADIUS, RADIUS + 1.0)
    for level in range(LEVELS):
        height, width = products.shape[2:]
        x = (flow[:, 0] + torch.arange(17)).flatten()[:, None, None] / 2**level + steps[:, None]
        y = (flow[:, 1] + torch.arange(19)[:, None]).flatten()[:, None, None] / 2**level + steps
        # From -1 at the outer edge of the first place to 1 at that of the last.
        grid = torch.stack([*torch.broadcast_tensors((2 * x + 1) / width, (2 * y + 1) / height)])
        sampled = F.grid_sample(products, grid.movedim(0, -1) - 1, align_corners=False)
        expected.append(sampled.view(2, 19, 17, -1))
        products = F.avg_pool2d(products, 2)
    windows = Correlation(before, after).around(flow)
    torch.testing.assert_close(
        windows, torch.cat(expected, dim=-1).permute(0, 3, 1, 2), atol=1e-3, rtol=1e-3
    )


def test_the_unit_is_gated_as_the_paper_writes_it() -> None:
    unit = ConvGRU()
    hidden, context = torch.randn(2, 96, 9, 11).tanh(), torch.randn(2, 64, 9, 11)
    motion = torch.randn(2, 82, 9, 11)
    seen = torch.cat([hidden, context, motion], dim=1)
    z, r = unit.convz(seen).sigmoid(), unit.convr(seen).sigmoid()
    new = unit.convq(torch.cat([r * hidden, context, motion], dim=1)).tanh()
    expected = (1 - z) * hidden + z * new
    torch.testing.assert_close(unit.step(context)(hidden, motion), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("iterations", [0, -1])
def test_without_iterations_there_is_no_flow(untrained: Path, iterations: int) -> None:
    with pytest.raises(UsageError, match=f"at least 1 iteration, got {iterations}"):
        raft_small(untrained, iterations=iterations)


@pytest.mark.gpu
def test_a_gpu_says_what_the_cpu_says(released: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    frames = moving([(3, -2), (0, 5)])
    on_gpu = raft_small(released, device="cuda")(frames)
    assert end_point_error(on_gpu, raft_small(released)(frames)) < 0.02
