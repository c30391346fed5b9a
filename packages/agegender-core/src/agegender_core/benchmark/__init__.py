"""How fast agegender is here: stage by stage, model by model, as inputs grow, and beside other libraries."""

from __future__ import annotations

from .growth import FACES as FACES
from .growth import FRAMES as FRAMES
from .growth import TRACKS as TRACKS
from .growth import measure_growth as measure_growth
from .hardware import describe_machine as describe_machine
from .hardware import hardware_line as hardware_line
from .known_peers import known_peers as known_peers
from .models import measure_models as measure_models
from .peers import Comparison as Comparison
from .peers import PeerUnavailableError as PeerUnavailableError
from .peers import Sides as Sides
from .peers import compare_with_peers as compare_with_peers
from .plots import plot_growth as plot_growth
from .plots import plot_models as plot_models
from .stages import SAMPLE as SAMPLE
from .stages import measure_stages as measure_stages
