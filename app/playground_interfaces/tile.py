"""The image that a predictor gets, with its frame."""


class Tile(object):
    """One map tile (or posted image), encoded and decoded, and where it lies.

    A predictor pays only for what it reads: ``image``, ``array`` and ``valid`` are made when first asked for.

    Attributes:
        url (str): where the image came from.
        image (bytearray): the *encoded* padded image: ``PIL.Image.open(io.BytesIO(tile.image))`` (RGB) or
            ``cv2.imdecode(np.asarray(tile.image, dtype=np.uint8), 1)`` (BGR).
        array (numpy.ndarray): the decoded padded image, H x W x bands, RGB order.
        valid (numpy.ndarray): H x W booleans, False where there is no imagery (a neighbour was missing).
        z, x, y (int or None): the XYZ address; None for a posted image.
        padding (int): pixels added on each side; the tile itself is ``array[padding:-padding, padding:-padding]``.
        size (int or None): pixels along one side of the tile without its padding.
        bounds (tuple or None): (west, south, east, north) of the tile without its padding, degrees.
        resolution (float or None): metres on the ground per pixel at the tile's centre.
        tiles (list): every image of the request, each a Tile, this one first; more than one for change detection,
            oldest first.
        metadata (dict): what the caller told about the images, as it came; {} if nothing.
    """

    def __init__(
        self,
        url,
        img_array=None,
        *,
        z=None,
        x=None,
        y=None,
        padding=0,
        size=None,
        bounds=None,
        resolution=None,
        tiles=None,
        metadata=None,
        load_image=None,
        load_array=None,
        load_valid=None,
    ):
        """A tile from its address and, if known, its image.

        Args:
            url (str): where the image came from.
            img_array: the encoded image (bytes-like), or the decoded one (H x W or H x W x bands array).
            z, x, y, padding, size, bounds, resolution, tiles, metadata: its frame, see the attributes.
            load_image, load_array, load_valid: each a callable without arguments that makes the attribute when it is
                read.
        """
        self.url = url
        self._parts = {}
        if img_array is not None:
            self._parts["array" if getattr(img_array, "ndim", 1) >= 2 else "image"] = img_array
        self._loaders = {"image": load_image, "array": load_array, "valid": load_valid}
        self.z = z
        self.x = x
        self.y = y
        self.padding = padding
        self.size = size
        self.bounds = bounds
        self.resolution = resolution
        self._tiles = tiles
        self.metadata = metadata or {}

    def _part(self, name):
        if name not in self._parts:
            load = self._loaders[name]
            self._parts[name] = load() if load is not None else None
        return self._parts[name]

    @property
    def image(self):
        return self._part("image")

    @image.setter
    def image(self, value):
        self._parts["image"] = value

    @property
    def array(self):
        return self._part("array")

    @array.setter
    def array(self, value):
        self._parts["array"] = value

    @property
    def valid(self):
        return self._part("valid")

    @property
    def tiles(self):
        if not self._tiles:  # made when asked for: a tile that refers to itself waits for the garbage collector
            self._tiles = [self]
        return self._tiles

    @tiles.setter
    def tiles(self, value):
        self._tiles = value

    def __repr__(self):
        where = "%s/%s/%s" % (self.z, self.x, self.y) if self.z is not None else repr(self.url)
        return "<Tile %s, padding %s>" % (where, self.padding)
