"""YuNet's model file, which isn't ours to distribute: downloaded once and kept in a cache."""

from __future__ import annotations

from pathlib import Path

FILE = "face_detection_yunet_2023mar.onnx"
SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
URLS = (
    # OpenCV Zoo, which is archived on GitHub, and where it went; MIT.
    "https://media.githubusercontent.com/media/opencv/opencv_zoo/82b38c8f98e7b52aa171400f3e4c722352d0669f/"
    f"models/face_detection_yunet/{FILE}",
    f"https://huggingface.co/opencv/face_detection_yunet/resolve/main/{FILE}",
)


def fetch_yunet(cache: Path | None = None) -> Path:
    """The path of YuNet's model file, downloaded (230 kB) unless it is in the cache; its hash is checked.

    Args:
        cache: the folder to keep it in; the user's cache folder when ``None``.

    Raises:
        OSError: it isn't in the cache and can't be downloaded.
    """
    import pooch  # type: ignore[import-untyped]

    pooch.get_logger().setLevel("ERROR")
    folder = pooch.os_cache("agegender") if cache is None else cache
    reason: Exception | None = None
    for url in URLS:
        try:
            return Path(pooch.retrieve(url, f"sha256:{SHA256}", FILE, folder))
        except (OSError, ValueError) as error:  # ValueError: the file has another hash
            reason = error
    raise OSError(
        f"YuNet's model is not in {folder} and can't be downloaded ({type(reason).__name__}): "
        f"get {FILE} from OpenCV Zoo and give --detector-model PATH"
    ) from reason
