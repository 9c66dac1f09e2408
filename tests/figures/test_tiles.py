"""Pictures of plain pixels: where each image is, and in which colour."""

import numpy as np

from reparam_suite.figures import tiled


def test_grey_images_go_from_white_to_black_side_by_side():
    black, white = np.ones((24, 24)), np.zeros((24, 24))
    picture = tiled([np.stack([black, white]), np.stack([white, black])])
    assert picture.dtype == np.uint8
    assert picture.shape == (2 * 50 + 2, 2 * 50 + 2)  # an image pixel is two pixels wide, and two between images
    assert (picture[2:50, 2:50] == 0).all()
    assert (picture[52:100, 52:100] == 0).all()
    picture[2:50, 2:50], picture[52:100, 52:100] = 255, 255
    assert (picture == 255).all()


def test_colours_are_kept_and_values_beyond_are_held():
    images = np.zeros((1, 3, 48, 48))
    images[0, 0], images[0, 1], images[0, 2] = 0.2, 7.0, -1.0
    picture = tiled([images])
    assert picture.shape == (52, 52, 3)
    assert (picture[2:50, 2:50] == [51, 255, 0]).all()
    assert (tiled([np.full((1, 48, 48), np.nan)])[2:50, 2:50] == 255).all()
