import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from marey.nn import ConvBN


def frozen(*, bias: bool, stride: int, same: bool, groups: int) -> ConvBN:
    unit = ConvBN(4, 8, 3, stride=stride, padding="same" if same else 1, groups=groups, bias=bias)
    norm = unit.bn
    assert isinstance(norm, nn.BatchNorm2d)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    norm.running_mean = torch.randn(8)
    norm.running_var = torch.rand(8) + 0.1
    unit.train()
    norm.requires_grad_(False).eval()
    return unit


@settings(max_examples=20, deadline=None)
@given(
    st.booleans(), st.sampled_from((1, 2)), st.booleans(), st.sampled_from((1, 4)), st.integers(0)
)
def test_frozen_statistics_answer_and_teach_as_the_norm_behind_the_convolution_does(
    bias: bool, stride: int, same: bool, groups: int, seed: int
) -> None:
    torch.manual_seed(seed % 2**32)
    unit = frozen(bias=bias, stride=stride, same=same, groups=groups)
    images = torch.randn(2, 4, 10, 12)
    pull = torch.randn(2, 8, *unit(images).shape[2:])

    def gradients(answer: torch.Tensor) -> list[torch.Tensor]:
        learnt = list(unit.conv.parameters())
        return list(torch.autograd.grad((answer * pull).sum(), learnt))

    plainly = torch.relu(unit.bn(unit.conv(images)))
    assert_close(unit(images), plainly, rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(gradients(unit(images)), gradients(plainly), strict=True):
        assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_a_norm_that_learns_sees_the_batch_and_keeps_its_own_gradients() -> None:
    unit = ConvBN(4, 8, 3, padding=1).train()
    before = unit.bn.running_mean.clone()
    unit(torch.randn(4, 4, 6, 6)).sum().backward()
    assert not torch.equal(unit.bn.running_mean, before)
    assert unit.bn.weight.grad is not None


def test_frozen_statistics_stay_and_get_no_gradient() -> None:
    unit = frozen(bias=False, stride=1, same=False, groups=1)
    before = unit.bn.running_mean.clone()
    unit(torch.randn(4, 4, 6, 6)).sum().backward()
    assert torch.equal(unit.bn.running_mean, before)
    assert unit.bn.weight.grad is None
    assert unit.conv.weight.grad is not None
