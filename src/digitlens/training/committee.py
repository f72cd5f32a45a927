"""Trains what a recipe asks for: one network, or several from seeds of their own, averaged."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import cast

from digitlens.datasets.mnist import Split
from digitlens.progress import note
from digitlens.training.checkpoint import STATE, Row, write_history
from digitlens.training.device import Device
from digitlens.training.moment import OnEpoch, OnStep
from digitlens.training.nets.tile_network import DigitNetwork, Ensemble
from digitlens.training.recipe import Recipe
from digitlens.training.train import Trained, score, train


def train_all(  # noqa: PLR0913  (what ``train`` takes)
    recipe: Recipe,
    training: Split,
    validation: Split,
    folder: Path,
    *,
    resume: bool = False,
    device: Device | None = None,
    on_step: OnStep | None = None,
    on_epoch: OnEpoch | None = None,
) -> Trained:
    """As ``train``, also where the recipe asks for members or views.

    Each member has a folder of its own in the run's, ``member-1`` and so on, and is resumed from
    it; the run's history is the mean of theirs. Who follows hears of one member after the other.
    """
    learn = partial(train, device=device, on_epoch=on_epoch)
    if recipe.members == 1:
        alone = learn(recipe, training, validation, folder, resume=resume, on_step=on_step)
        return _finished(recipe, [alone], validation)
    members: list[Trained] = []
    for number, member in enumerate(members_of(recipe), 1):
        note(f"member {number} of {recipe.members}")
        place = folder / f"member-{number}"
        begun = resume and (place / STATE).is_file()
        told = _told(on_step, number, recipe.members)
        members.append(learn(member, training, validation, place, resume=begun, on_step=told))
    done = _finished(recipe, members, validation)
    write_history(folder, done.history)
    return done


def members_of(recipe: Recipe) -> list[Recipe]:
    """The recipes of a committee's members: no two committees of one size share a seed."""
    first = recipe.seed * recipe.members
    return [
        dataclasses.replace(recipe, members=1, seed=first + number)
        for number in range(recipe.members)
    ]


def _told(on_step: OnStep | None, member: int, members: int) -> OnStep | None:
    """Tells of a member's steps whose they are."""
    if on_step is None:
        return None
    return lambda moment: on_step(dataclasses.replace(moment, member=member, members=members))


def _finished(recipe: Recipe, members: list[Trained], validation: Split) -> Trained:
    if recipe.members == recipe.views == 1:
        return members[0]
    networks = [cast(DigitNetwork, member.network) for member in members]
    committee = Ensemble(networks, recipe.views).eval()
    return Trained(
        committee,
        _mean_history([member.history for member in members]),
        max(member.best_epoch for member in members),
        sum(member.seconds for member in members),
        score(committee, validation, recipe.label_smoothing),
    )


def _mean_history(histories: list[list[Row]]) -> list[Row]:
    """Each epoch's mean over the members that came so far."""
    longest = max(histories, key=len)
    return [
        {key: fmean(h[epoch][key] for h in histories if epoch < len(h)) for key in row}
        for epoch, row in enumerate(longest)
    ]
