"""Loss, accuracy and learning rate over the epochs of one run."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from fer_models.training.progress import Epoch
from tasks.drawing.colours import BLUE, GREEN, GREY, ORANGE


def plot_learning_curves(history: Sequence[Epoch], best_epoch: int, title: str) -> Figure:
    """Three panels; the epoch that became the model is marked."""
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    figure.suptitle(title)
    epochs = [epoch.epoch for epoch in history]
    loss, accuracy, rate = figure.subplots(1, 3)
    loss.plot(epochs, [epoch.train_loss for epoch in history], color=BLUE, label="training (with L2)")
    loss.plot(epochs, [epoch.val_loss for epoch in history], color=ORANGE, label="validation")
    loss.set_ylabel("loss")
    accuracy.plot(epochs, [epoch.train_accuracy for epoch in history], color=BLUE, label="training accuracy")
    accuracy.plot(epochs, [epoch.val_accuracy for epoch in history], color=ORANGE, label="validation accuracy")
    accuracy.plot(epochs, [epoch.val_uar for epoch in history], color=GREEN, label="validation UAR")
    accuracy.set_ylim(0, 1)
    accuracy.set_ylabel("score, segments")
    rate.plot(epochs, [epoch.learning_rate for epoch in history], color=GREY)
    rate.set_ylim(0, 1.1 * max(epoch.learning_rate for epoch in history))
    rate.set_ylabel("learning rate")
    for axes in (loss, accuracy, rate):
        axes.axvline(best_epoch, color=GREY, linestyle=":", linewidth=1)
        axes.set_xlabel(f"epoch (dotted: the chosen one, {best_epoch})")
        axes.spines[["top", "right"]].set_visible(False)
    for axes in (loss, accuracy):
        axes.legend(frameon=False, fontsize=8)
    return figure
