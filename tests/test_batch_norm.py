from __future__ import annotations

import pytest
import torch
from torch import nn

from edgedistill.batch_norm import estimate, stale


def batches(count: int = 6, size: int = 16) -> list[torch.Tensor]:
    """Pixels whose mean and spread differ from batch to batch."""
    random = torch.Generator().manual_seed(0)
    return [
        (1 + number) * torch.rand(size, 3, 6, 6, generator=random) + number
        for number in range(count)
    ]


def each_alone(tensors: list[torch.Tensor]) -> list[tuple[torch.Tensor, ...]]:
    """As the inputs of models that take one."""
    return [(each,) for each in tensors]


def network(norm: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), norm, nn.ReLU(), nn.Dropout(0.5), nn.BatchNorm2d(4))


def test_statistics_are_those_of_all_images_together() -> None:
    norm, seen = nn.BatchNorm2d(3, momentum=0.01), batches()
    estimate([norm], each_alone(seen))
    everything = torch.cat(seen).transpose(0, 1).flatten(1)
    assert torch.allclose(norm.running_mean, everything.mean(1), rtol=1e-5)
    assert torch.allclose(norm.running_var, everything.var(1, unbiased=False), rtol=1e-4)


@pytest.mark.parametrize("momentum", [0.01, 0.1, None])
def test_nothing_is_left_of_the_first_weights_statistics(momentum: float | None) -> None:
    model, other = (network(nn.BatchNorm2d(4, momentum=momentum)) for _ in range(2))
    model[1].running_mean.fill_(1e6)
    before = model[1].num_batches_tracked.fill_(7).clone()
    for each in (model, other):
        estimate([each], each_alone(batches()))
    assert torch.equal(model[1].running_mean, other[1].running_mean)
    assert model[1].momentum == momentum
    assert torch.equal(model[1].num_batches_tracked, before)
    assert all(module.training for module in model.modules())


def test_dropout_is_off_and_torchs_random_state_stays() -> None:
    model, before = network(nn.BatchNorm2d(4)), torch.get_rng_state()
    estimate([model], each_alone(batches()))
    without = network(nn.BatchNorm2d(4))
    without[3] = nn.Identity()
    estimate([without], each_alone(batches()))
    assert torch.equal(model[4].running_var, without[4].running_var)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_held_still_stays() -> None:
    held = [nn.BatchNorm2d(4), nn.BatchNorm2d(4, momentum=0.0),
            nn.BatchNorm2d(4, track_running_stats=False), nn.GroupNorm(2, 4)]  # fmt: skip
    held[0].eval()
    for norm in held:
        model = network(norm)
        before = {name: value.clone() for name, value in norm.state_dict().items()}
        assert stale(model) == [model[4]]
        estimate([model], each_alone(batches()))
        assert all(torch.equal(norm.state_dict()[name], value) for name, value in before.items())
    assert not held[0].training


def test_a_norm_that_no_image_reaches_keeps_its_statistics() -> None:
    class Branched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x)

    model = Branched()
    estimate([model], each_alone(batches()))
    assert torch.equal(model.unused.running_mean, torch.zeros(3))
    assert not torch.equal(model.used.running_mean, torch.zeros(3))


def test_a_norm_that_is_called_twice_sees_both_calls() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(x) + self.norm(x + 10)

    model, seen = Twice(), batches()
    estimate([model], each_alone(seen))
    assert torch.allclose(model.norm.running_mean, torch.cat(seen).mean((0, 2, 3)) + 5, rtol=1e-5)


def test_instance_norms_with_statistics_are_estimated_as_they_count_them() -> None:
    model = nn.InstanceNorm2d(3, track_running_stats=True)
    seen = batches()
    estimate([model], each_alone(seen))
    assert torch.allclose(model.running_var, torch.cat(seen).var((2, 3)).mean(0), rtol=1e-4)


def test_a_failure_half_way_leaves_the_model_as_it_was() -> None:
    model = network(nn.BatchNorm2d(4))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(RuntimeError):
        estimate([model], each_alone([*batches(2), torch.zeros(2, 5, 6, 6)]))
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    assert model[1].momentum == 0.1
    assert all(module.training for module in model.modules())
