"""Training: it learns, repeats itself bit for bit, and keeps what it should."""

import math
import random
from dataclasses import replace

import pytest
import torch
from sklearn.metrics import top_k_accuracy_score
from torch.utils.data import TensorDataset

import gac
from gac.augment import Augmented, mixed
from gac.data import DATASETS
from gac.errors import InputError
from gac.inference import accuracy, evaluate
from gac.keeping import BEST_NOTE, LAST_NOTE, keep
from gac.losses import classification_loss
from gac.metadata import Preprocessing
from gac.order import Draw
from gac.pictures import Samples
from gac.progress import EpochRecord, learning_rate
from gac.recipes import RECIPES, TrainConfig, recipe
from gac.registry import ARCHITECTURES
from gac.training import Trainer, fresh_model, train

QUICK = TrainConfig(epochs=3, batch_size=8, lr=0.1)


@pytest.fixture
def samples(preprocessing):
    """Two classes that differ in brightness."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(36) % 2
    images = torch.randn(36, 3, 8, 8, generator=generator) + 2 * labels[:, None, None, None] - 1
    return Samples(TensorDataset(images / 4 + 0.5, labels), preprocessing)


def _train(config, samples, settings):
    model = fresh_model(config, seed=settings.seed)
    return model, list(train(model, samples, samples, settings))


def test_the_loss_falls_and_the_network_learns(tiny_config, samples):
    _, records = _train(tiny_config, samples, replace(QUICK, epochs=6))
    assert records[-1].loss < 0.3 * records[0].loss
    assert records[-1].test_accuracy > 0.9
    assert [record.epoch for record in records] == [1, 2, 3, 4, 5, 6]


def test_the_same_seed_gives_the_same_weights_bit_for_bit(tiny_config, samples):
    settings = replace(QUICK, shift=1, flip=True, cutmix=0.5)
    states = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)  # has no say
        model, _ = _train(tiny_config, samples, settings)
        states.append(model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_another_seed_gives_other_weights(tiny_config, samples):
    models = [_train(tiny_config, samples, replace(QUICK, seed=seed))[0] for seed in (0, 1)]
    assert not torch.equal(models[0].head.weight, models[1].head.weight)


def test_training_leaves_the_global_random_state_alone(tiny_config, samples):
    before = torch.get_rng_state(), random.getstate()
    _train(tiny_config, samples, replace(QUICK, shift=1, cutmix=1.0))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]


def test_the_learning_rate_follows_half_a_cosine(tiny_config, samples):
    _, records = _train(tiny_config, samples, QUICK)
    # 0.1 (1 + cos(pi k / 3)) / 2
    assert [record.lr for record in records] == pytest.approx([0.1, 0.075, 0.025])


def test_an_update_moves_the_weights_in_proportion_to_its_learning_rate(tiny_config, samples):
    moved = []
    for warmup in (0.0, 4.0):  # the only update of the first of four epochs has a quarter of it
        settings = replace(
            QUICK, epochs=1, batch_size=36, warmup_epochs=warmup, precision="float64"
        )
        before = fresh_model(tiny_config, seed=0).double().head.weight.detach().clone()
        model, _ = _train(tiny_config, samples, settings)
        moved.append(float((model.head.weight.detach() - before).norm()))
    assert moved[0] / moved[1] == pytest.approx(4)


def test_a_loss_that_is_not_finite_stops_with_a_clear_line(tiny_config, samples):
    with pytest.raises(InputError, match=r"the loss became \w+ in epoch \d, .* than 1e\+30"):
        _train(tiny_config, samples, replace(QUICK, lr=1e30))


def test_less_than_one_batch_is_refused(tiny_config, samples):
    with pytest.raises(InputError, match="36 training images are less than one batch of 64"):
        _train(tiny_config, samples, replace(QUICK, batch_size=64))


def test_every_update_is_reported(tiny_config, samples):
    seen = []
    settings = replace(QUICK, epochs=1)
    model = fresh_model(tiny_config, seed=0)
    record = next(Trainer(model, samples, samples, settings, on_update=seen.append).epochs())
    assert [update.batch for update in seen] == [1, 2, 3, 4]  # 36 images in 8s, the rest left out
    assert record.loss == pytest.approx(sum(update.loss for update in seen) / 4)


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
    """Each change alone, on pictures where it can be seen."""

    def _augmented(self, pictures, **settings):
        black_is_minus_2 = Preprocessing(image_size=4, mean=(0.5,), std=(0.25,))
        samples = Samples(
            TensorDataset(pictures, torch.zeros(len(pictures), dtype=torch.long)), black_is_minus_2
        )
        changed = Augmented(samples, TrainConfig(epochs=1, **settings))
        return torch.stack([changed[Draw(1, k)][0] for k in range(len(pictures))])

    def test_nothing_asked_for_only_normalises(self):
        pictures = torch.rand(4, 1, 4, 4)
        assert torch.equal(self._augmented(pictures), (pictures - 0.5) / 0.25)

    def test_a_shift_moves_black_in(self):
        changed = self._augmented(torch.ones(200, 1, 4, 4), shift=1)
        assert changed.unique().tolist() == [-2, 2]  # black: (0 - 0.5) / 0.25
        columns = (changed == -2).all(2).sum((1, 2))  # wholly black columns of each image
        assert columns.max() == 1
        assert 100 < int(columns.sum()) < 165  # two thirds of 200

    def test_a_flip_mirrors_about_half_of_the_images(self):
        pictures = (torch.arange(4.0) / 4).expand(200, 1, 4, 4)
        mirrored = self._augmented(pictures, flip=True)[:, 0, 0, 0] == 1
        assert 75 < int(mirrored.sum()) < 125

    @pytest.mark.parametrize("change", [{"random_resize": True}, {"autoaugment": "imagenet"}])
    def test_what_torchvision_does_keeps_size_and_range(self, change):
        pictures = torch.randint(256, (20, 3, 6, 6), dtype=torch.uint8)
        changed = self._augmented(pictures, **change)
        assert changed.shape == (20, 3, 4, 4)
        assert changed.min() >= -2
        assert changed.max() <= 2

    def test_what_happens_to_a_picture_depends_on_seed_epoch_and_its_number_alone(self):
        samples = Samples(
            TensorDataset(torch.rand(9, 1, 8, 8), torch.arange(9)),
            Preprocessing(image_size=8, mean=(0.0,), std=(1.0,)),
        )
        changed = Augmented(samples, TrainConfig(shift=3, seed=5))
        first = changed[Draw(1, 4)][0]
        _ = changed[Draw(1, 3)], torch.rand(1)
        assert torch.equal(changed[Draw(1, 4)][0], first)
        later = torch.stack([changed[Draw(epoch, 4)][0] for epoch in range(1, 30)])
        assert 10 < len(later.unique(dim=0)) <= 29  # of 49 places
        other = Augmented(samples, TrainConfig(shift=3, seed=6))
        assert not torch.equal(other[Draw(1, 4)][0], first)

    def test_cutmix_gives_targets_the_share_of_the_pixels(self):
        images = torch.arange(8.0)[:, None, None, None].expand(8, 1, 16, 16).clone()
        changed, targets = mixed(images, torch.arange(8), 8, TrainConfig(cutmix=1.0), (1, 3))
        for k in range(8):
            shares = [float((changed[k] == other).float().mean()) for other in range(8)]
            assert targets[k].tolist() == pytest.approx(shares)
        assert 0 < float(targets.diagonal().min()) < 1
        assert torch.equal(images[:, 0, 0, 0], torch.arange(8.0))

    @pytest.mark.parametrize("draw", ["batch", "epoch"])
    def test_cutmix_is_drawn_for_every_batch_or_once_per_epoch(self, draw):
        config = TrainConfig(cutmix=0.5, cutmix_draw=draw)
        images, labels = torch.rand(4, 1, 16, 16), torch.arange(4)

        def is_mixed(epoch, batch):
            targets = mixed(images, labels, 4, config, (epoch, batch))[1]
            return bool((targets.amax(1) < 1).any())

        counts = [sum(is_mixed(epoch, batch) for batch in range(12)) for epoch in range(1, 13)]
        # A box at the border may be empty: not quite all of 12.
        extreme = [count == 0 or count > 9 for count in counts]
        if draw == "epoch":
            assert all(extreme)
            assert 0 < counts.count(0) < 12
        else:
            assert sum(extreme) <= 1


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
        found = evaluate(self.Constant(), [(torch.zeros(3, 1), torch.ones(3, dtype=torch.long))])
        assert (found.correct, found.correct_by_step) == (3, (0, 3))

    def test_counts_add_up_over_uneven_batches(self):
        batches = [
            (torch.zeros(3, 1), torch.tensor([1, 1, 0])),
            (torch.zeros(1, 1), torch.tensor([1])),
        ]
        found = evaluate(self.Constant(), batches)
        assert (found.correct, found.samples) == (3, 4)
        assert accuracy(self.Constant(), batches) == 0.75
        assert math.isnan(accuracy(self.Constant(), []))

    def test_top_5_and_every_step_agree_with_scikit_learn(self, tiny_config):
        model = fresh_model(replace(tiny_config, steps=4, classes=10), seed=0)
        images, labels = torch.randn(40, 3, 8, 8), torch.arange(40) % 10
        found = evaluate(model, zip(images.split(7), labels.split(7), strict=True))
        with torch.no_grad():
            logits = model.eval()(images)

        def right(t, k=1):
            return top_k_accuracy_score(labels, logits[:, :t].mean(1), k=k, normalize=False)

        assert found.correct5 == right(4, 5)
        assert found.correct_by_step == tuple(right(t) for t in (1, 2, 3, 4))
        assert found.correct == found.correct_by_step[-1]

    def test_every_modules_own_mode_comes_back_also_after_an_exception(self):
        model = self.Constant()
        model.drop.eval()  # frozen, while the rest trains
        broken = [(torch.zeros(2, 1), torch.zeros(3))]
        for batches in ([], broken):
            try:
                evaluate(model, batches)
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
        ("accumulate", 0),
        ("warmup_epochs", -1.0),
        ("tet_weight", 2.0),
        ("budget_target", -0.1),
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
        assert config.cutmix_draw == "batch"
        assert recipe(name).as_released().config.cutmix_draw == "epoch"
        assert "bollossom/GAC" in recipe(name).source


def test_the_released_settings_are_in_the_imagenet_recipes():
    for name in ("imagenet-r18", "imagenet-r34"):
        config = recipe(name).as_released().config
        assert (config.epochs, config.batch_size, config.lr) == (250, 256, 0.1)
        assert (config.weight_decay, config.label_smoothing, config.seed) == (1e-5, 0.1, 445)
        assert (config.random_resize, config.autoaugment, config.cutmix) == (True, "imagenet", 1.0)
        assert (config.flip, recipe(name).config.flip) == (False, True)


def test_every_recipe_names_its_source_a_data_set_and_a_network_of_its_size():
    for known in RECIPES.values():
        assert known.source
        side = DATASETS[known.data].preprocessing.image_size
        assert ARCHITECTURES[known.model].image_size == side


def test_a_recipe_that_does_not_exist_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match=f"known: {', '.join(RECIPES)}"):
        recipe("imagenet")


def test_the_learning_rate_rises_then_follows_the_cosine():
    config = TrainConfig(epochs=4, lr=0.8, warmup_epochs=0.5)
    rates = [learning_rate(config, 1, batch, 4) for batch in (1, 2, 3)]
    assert rates == pytest.approx([0.4, 0.8, 0.8])  # 2 updates are half an epoch
    assert learning_rate(config, 3, 1, 4) == pytest.approx(0.4)  # half of the cosine


class TestLoss:
    """By hand: two steps, two classes, one image of class 0."""

    logits = torch.tensor([[[2.0, 0.0], [0.0, 2.0]]])
    target = torch.tensor([[1.0, 0.0]])

    def test_the_mean_logits_are_undecided(self):
        loss = classification_loss(self.logits, self.target, TrainConfig())
        assert float(loss) == pytest.approx(math.log(2))

    def test_tet_is_the_mean_of_the_steps_and_draws_logits_to_a_target(self):
        config = TrainConfig(loss="tet", tet_weight=0.25, tet_target=1.0)
        steps = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(2))) / 2
        loss = classification_loss(self.logits, self.target, config)
        assert float(loss) == pytest.approx(0.75 * steps + 0.25 * 1.0)  # every logit is 1 away

    def test_smoothing_spreads_the_target(self):
        logits = torch.tensor([[[2.0, 0.0]]])
        right, wrong = math.log(1 + math.exp(-2)), math.log(1 + math.exp(2))
        for kind in ("mean-logits", "tet"):
            config = TrainConfig(loss=kind, label_smoothing=0.2, tet_weight=0.0)
            loss = classification_loss(logits, self.target, config)
            assert float(loss) == pytest.approx(0.9 * right + 0.1 * wrong)
