"""Training: it learns, repeats itself bit for bit, and keeps what it should."""

import math
import random
from dataclasses import replace

import pytest
import torch
from torch.utils.data import TensorDataset

import gac
from gac.augment import Augmentation
from gac.errors import InputError
from gac.inference import accuracy, count_correct, predictions
from gac.metadata import Preprocessing
from gac.pictures import Samples
from gac.recipes import RECIPES, TrainConfig, recipe
from gac.training import BEST_NOTE, LAST_NOTE, EpochRecord, fresh_model, keep, train

QUICK = TrainConfig(epochs=3, batch_size=8, lr=0.1)


@pytest.fixture
def samples():
    """Two classes that differ in brightness."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(36) % 2
    images = torch.randn(36, 3, 8, 8, generator=generator) + 2 * labels[:, None, None, None] - 1
    return Samples(TensorDataset(images, labels))


def _train(config, samples, settings, preprocessing):
    model = fresh_model(config, seed=settings.seed)
    return model, list(train(model, samples, samples, settings, preprocessing))


def test_the_loss_falls_and_the_network_learns(tiny_config, samples, preprocessing):
    _, records = _train(tiny_config, samples, replace(QUICK, epochs=6), preprocessing)
    assert records[-1].loss < 0.3 * records[0].loss
    assert records[-1].test_accuracy > 0.9
    assert [record.epoch for record in records] == [1, 2, 3, 4, 5, 6]


def test_the_same_seed_gives_the_same_weights_bit_for_bit(tiny_config, samples, preprocessing):
    settings = replace(QUICK, shift=1, flip=True, cutmix=0.5)
    states = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)  # has no say
        model, _ = _train(tiny_config, samples, settings, preprocessing)
        states.append(model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_another_seed_gives_other_weights(tiny_config, samples, preprocessing):
    models = [
        _train(tiny_config, samples, replace(QUICK, seed=seed), preprocessing)[0] for seed in (0, 1)
    ]
    assert not torch.equal(models[0].head.weight, models[1].head.weight)


def test_training_leaves_the_global_random_state_alone(tiny_config, samples, preprocessing):
    before = torch.get_rng_state(), random.getstate()
    _train(tiny_config, samples, replace(QUICK, shift=1, cutmix=1.0), preprocessing)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]


def test_the_learning_rate_follows_half_a_cosine(tiny_config, samples, preprocessing):
    _, records = _train(tiny_config, samples, QUICK, preprocessing)
    # 0.1 (1 + cos(pi k / 3)) / 2
    assert [record.lr for record in records] == pytest.approx([0.1, 0.075, 0.025])


def test_a_loss_that_is_not_finite_stops_with_a_clear_line(tiny_config, samples, preprocessing):
    with pytest.raises(InputError, match=r"the loss became \w+ in epoch \d, .* than 1e\+30"):
        _train(tiny_config, samples, replace(QUICK, lr=1e30), preprocessing)


def test_less_than_one_batch_is_refused(tiny_config, samples, preprocessing):
    with pytest.raises(InputError, match="36 training images are less than one batch of 64"):
        _train(tiny_config, samples, replace(QUICK, batch_size=64), preprocessing)


def test_every_batch_is_reported(tiny_config, samples, preprocessing):
    seen = []
    model = fresh_model(tiny_config, seed=0)
    settings = replace(QUICK, epochs=1)
    list(train(model, samples, samples, settings, preprocessing, lambda k, loss: seen.append(k)))
    assert seen == [1, 2, 3, 4]  # 36 images in batches of 8, the rest left out


def test_best_and_last_are_kept_and_say_which_they_are(tmp_path, tiny_model, metadata):
    def records():
        for epoch, correct in ((1, 5), (2, 9), (3, 9), (4, 7)):
            tiny_model.head.bias.data.fill_(epoch)
            yield EpochRecord(epoch=epoch, loss=1.0, lr=0.1, test_correct=correct, test_samples=10)

    assert len(list(keep(records(), tiny_model, metadata, tmp_path))) == 4
    last, best = (gac.load(tmp_path / f"{name}.pth") for name in ("last", "best"))
    assert last.model.head.bias.unique().tolist() == [4]
    assert best.model.head.bias.unique().tolist() == [2]  # the first of the equally good
    assert (last.metadata.metrics["epoch"], best.metadata.metrics["epoch"]) == (4, 2)
    assert best.metadata.metrics["test_accuracy"] == 0.9
    assert last.metadata.notes == ("a note", LAST_NOTE)
    assert best.metadata.notes == ("a note", BEST_NOTE)


class TestAugmentation:
    """Each change alone, on images where it can be seen."""

    black = Preprocessing(image_size=4, mean=(0.5,), std=(0.25,))

    def _augment(self, images, targets=None, **settings):
        config = TrainConfig(epochs=1, **settings)
        augment = Augmentation(config, self.black, torch.Generator().manual_seed(0))
        return augment(images, torch.eye(len(images)) if targets is None else targets)

    def test_nothing_asked_for_changes_nothing(self):
        images = torch.randn(4, 1, 4, 4)
        changed, targets = self._augment(images)
        assert torch.equal(changed, images)
        assert torch.equal(targets, torch.eye(4))

    def test_a_shift_moves_black_in(self):
        images = torch.full((200, 1, 4, 4), 2.0)
        changed, _ = self._augment(images, shift=1)
        assert changed.unique().tolist() == [-2, 2]  # black: (0 - 0.5) / 0.25
        columns = (changed == -2).all(2).sum((1, 2))  # wholly black columns of each image
        assert columns.max() == 1
        assert 100 < int(columns.sum()) < 165  # two thirds of 200

    def test_a_flip_mirrors_about_half_of_the_images(self):
        images = torch.arange(4.0).expand(200, 1, 4, 4)
        changed, _ = self._augment(images, flip=True)
        mirrored = changed[:, 0, 0, 0] == 3
        assert 75 < int(mirrored.sum()) < 125
        assert torch.equal(changed[~mirrored], images[~mirrored])

    def test_cutmix_gives_targets_the_share_of_the_pixels(self):
        images = torch.arange(8.0)[:, None, None, None].expand(8, 1, 16, 16).clone()
        changed, targets = self._augment(images, cutmix=1.0)
        for k in range(8):
            shares = [float((changed[k] == other).float().mean()) for other in range(8)]
            assert targets[k].tolist() == pytest.approx(shares)
        assert 0 < float(targets.diagonal().min()) < 1
        assert torch.equal(images[:, 0, 0, 0], torch.arange(8.0))


class TestInference:
    """Counting what is right."""

    class Constant(torch.nn.Module):
        """Class 1 by the mean of two steps, though class 0 wins the first."""

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))
            self.drop = torch.nn.Dropout()

        def forward(self, images):
            if self.drop.training:
                raise RuntimeError("not in eval mode")
            logits = torch.tensor([[2.0, 1.0, 0.0], [0.0, 4.0, 0.0]])
            return logits.expand(len(images), 2, 3)

    def test_the_mean_over_steps_decides(self):
        assert predictions(self.Constant().eval(), torch.zeros(3, 1)).tolist() == [1, 1, 1]

    def test_counts_add_up_over_uneven_batches(self):
        batches = [
            (torch.zeros(3, 1), torch.tensor([1, 1, 0])),
            (torch.zeros(1, 1), torch.tensor([1])),
        ]
        assert count_correct(self.Constant(), batches) == (3, 4)
        assert accuracy(self.Constant(), batches) == 0.75
        assert math.isnan(accuracy(self.Constant(), []))

    def test_every_modules_own_mode_comes_back_also_after_an_exception(self):
        model = self.Constant()
        model.drop.eval()  # frozen, while the rest trains
        broken = [(torch.zeros(2, 1), torch.zeros(3))]
        for batches in ([], broken):
            try:
                count_correct(model, batches)
            except RuntimeError:
                assert batches is broken
            assert (model.training, model.drop.training) == (True, False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch_size", 1),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("momentum", 1.0),
        ("weight_decay", -1.0),
        ("label_smoothing", 1.0),
        ("seed", -1),
        ("shift", -1),
        ("cutmix", 1.5),
    ],
)
def test_impossible_settings_are_refused_by_name(name, value):
    with pytest.raises(InputError, match=f"^{name} must be "):
        replace(QUICK, **{name: value})


def test_the_released_settings_are_in_the_cifar_recipes():
    for name in ("cifar10", "cifar100"):
        config = recipe(name).config
        assert (config.epochs, config.batch_size, config.lr) == (250, 64, 0.1)
        assert (config.momentum, config.weight_decay, config.seed) == (0.9, 5e-5, 1000)
        assert (config.shift, config.flip, config.cutmix) == (4, True, 0.5)
        assert "bollossom/GAC" in recipe(name).source


def test_a_recipe_that_does_not_exist_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match=f"known: {', '.join(RECIPES)}"):
        recipe("imagenet")
