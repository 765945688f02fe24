"""Which of the 468 mesh points is what (arXiv 1907.06724). Sides are sides of the image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.intp]


def _indices(text: str) -> Indices:
    out = np.array(text.split(), dtype=np.intp)
    out.setflags(write=False)
    return out


# Closed contours, clockwise in the image where order matters.
FACE_OVAL = _indices(
    "10 338 297 332 284 251 389 356 454 323 361 288 397 365 379 378 400 377 152 148 176 149 150 "
    "136 172 58 132 93 234 127 162 21 54 103 67 109"
)
LIPS_OUTER = _indices("61 185 40 39 37 0 267 269 270 409 291 375 321 405 314 17 84 181 91 146")
LIPS_INNER = _indices("78 191 80 81 82 13 312 311 310 415 308 324 318 402 317 14 87 178 88 95")
LEFT_EYE = _indices("33 246 161 160 159 158 157 173 133 155 154 153 145 144 163 7")
RIGHT_EYE = _indices("362 398 384 385 386 387 388 466 263 249 390 373 374 380 381 382")
LEFT_BROW = _indices("70 63 105 66 107 55 65 52 53 46")
RIGHT_BROW = _indices("336 296 334 293 300 276 283 282 295 285")
EYES_AND_BROWS = np.concatenate([LEFT_EYE, RIGHT_EYE, LEFT_BROW, RIGHT_BROW])

# Single points.
FOREHEAD_TOP, CHIN = 10, 152
LEFT_EYE_OUTER, LEFT_EYE_INNER, RIGHT_EYE_INNER, RIGHT_EYE_OUTER = 33, 133, 362, 263
LEFT_LID_UPPER, LEFT_LID_LOWER, RIGHT_LID_UPPER, RIGHT_LID_LOWER = 159, 145, 386, 374
NOSE_TIP = 4
MOUTH_LEFT, MOUTH_RIGHT = 61, 291
LIP_UPPER_INNER, LIP_LOWER_INNER = 13, 14
LEFT_SIDE, RIGHT_SIDE = 234, 454

# Skin that is bare on nearly everybody: cheeks below the eyes, bridge of the nose.
LEFT_CHEEK = _indices("50 101 36 205 187 123 117 118")
RIGHT_CHEEK = _indices("280 330 266 425 411 352 346 347")
# Where beards grow: above the upper lip, below the lower one, on the chin.
MOUSTACHE = _indices("165 92 39 37 0 267 269 322 391 393 164 167")
CHIN_PATCH = _indices(
    "182 181 84 17 314 405 406 418 262 431 395 369 396 175 171 140 170 211 32 194"
)
