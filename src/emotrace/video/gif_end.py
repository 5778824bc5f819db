"""Whether a GIF is whole: FFmpeg takes the end of a file that was cut off for the end of the GIF.

Graphics Interchange Format, version 89a (CompuServe, 1990), sections 15, 17, 18, 20, 23 and 27.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

_EXTENSION: Final = 0x21
_IMAGE: Final = 0x2C
_TRAILER: Final = 0x3B
_HEADER_BYTES: Final = 13
_IMAGE_DESCRIPTOR_BYTES: Final = 9


def has_gif_trailer(path: Path) -> bool:
    """Go from block to block and say whether the one that ends a GIF is there.

    The last byte alone does not say: data that were cut off may end in any, and some programs
    append bytes of their own.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
        if len(header) < _HEADER_BYTES:
            return False
        _skip_color_table(file, header[10])
        while block := file.read(1):
            if block[0] == _TRAILER:
                return True
            if block[0] == _EXTENSION:
                file.seek(1, 1)
            elif block[0] == _IMAGE:
                descriptor = file.read(_IMAGE_DESCRIPTOR_BYTES)
                if len(descriptor) < _IMAGE_DESCRIPTOR_BYTES:
                    return False
                _skip_color_table(file, descriptor[8])
                file.seek(1, 1)  # the size of the LZW codes
            else:
                continue  # no block begins so: padding, or damage that decoders step over too
            _skip_sub_blocks(file)
    return False


def _skip_color_table(file: BinaryIO, packed_fields: int) -> None:
    if packed_fields & 0x80:
        file.seek(3 * 2 ** ((packed_fields & 0x07) + 1), 1)


def _skip_sub_blocks(file: BinaryIO) -> None:
    while (size := file.read(1)) and size[0]:
        file.seek(size[0], 1)
