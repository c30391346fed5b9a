"""Parts of `_core`, compiled for x86-64-v3."""

from ._core import HogFaceDetector as HogFaceDetector
from ._core import LandmarkModel as LandmarkModel
from ._core import YuNet as YuNet
from ._core import augment as augment
from ._core import extract_chips as extract_chips
from ._core import hog_features as hog_features
from ._core import hog_model as hog_model
from ._core import preprocess as preprocess
from ._core import shrink as shrink
from ._core import yunet_faces as yunet_faces
from ._core import yunet_input as yunet_input
