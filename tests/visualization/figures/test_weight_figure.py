"""The chart and the table of class weights."""

from PIL import Image

from mmseg_heritage.visualization.figures.weight_figure import plot_class_weights, weight_table

CONTENT = {
    "formula": "inverse",
    "ratio": 9.0,
    "classes": ["Clean", "Cracks", "Hair"],
    "without_pixels": ["Hair"],
    "pixel_counts": [9000, 1000, 0],
    "image_counts": [5, 2, 0],
    "split": {"name": "fold-2", "images": 7, "copies_among_them": 3},
    "class_weights": [0.2, 1.8, 0.0],
}


def test_the_chart_is_a_picture_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "new" / "chart.png"
    plot_class_weights(path, CONTENT)
    with Image.open(path) as image:
        assert image.width > 500
        colors = {color for _, color in image.convert("RGB").getcolors(1 << 20)}
    assert {(0, 114, 178), (213, 94, 0)} <= colors
    assert [p.name for p in path.parent.iterdir()] == ["chart.png"]
    plot_class_weights(path, {k: v for k, v in CONTENT.items() if k != "split"})


def test_the_table_says_which_classes_have_no_pixels():
    text = weight_table(CONTENT)
    (cracks,) = [line for line in text.splitlines() if "Cracks" in line]
    assert cracks.split() == ["Cracks", "2", "1,000", "1.8"]
    assert "7 images of the training part of 'fold-2' (3 copies among them)" in text
    assert "weight 0, which means not trained: Hair" in text
