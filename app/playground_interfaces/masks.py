"""Masks to polygons, exact along pixel edges.

Method: every vertex of the pixel grid where the outline turns is a corner. Along a grid row the outline's horizontal
parts lie between the 1st and 2nd, 3rd and 4th, … corner, along a column its vertical parts likewise, so that walking
down, across, down, … from corner to corner gives each ring with no collinear point (the reconstruction of orthogonal
polygons from their vertices: O'Rourke, "Uniqueness of orthogonal connect-the-dots", 1988). Where four pixels meet
like a chessboard two outlines touch, and that vertex is two corners: they keep the two pixels apart where these
belong to different regions, and keep the two gaps apart where they belong to one. Every ring is so simple, and
holes touch other rings in single points at most: valid polygons as OGC Simple Features (6.1.11) has them.

Standard library only; where the interpreter has numpy it is three times faster, with the same answer.
"""


def polygons_of_mask(mask):
    """Trace the 4-connected regions of a mask.

    Args:
        mask: H x W booleans (an array or nested lists), True inside; pixel (0, 0) spans (0, 0) to (1, 1).

    Returns:
        List of (exterior, holes), one a region, ordered by the region's first pixel row by row. Each ring is a list of
        (x, y) whole numbers on pixel corners, closed, from its topmost, then leftmost corner; exteriors go down from
        there first, so counter-clockwise on a map, and holes to the right. Together they cover exactly the True pixels.

    Raises:
        ValueError: not two-dimensional, or rows of several lengths.
    """
    try:
        import numpy
    except ImportError:
        corners, partners, labels, inside = _outline_of_rows(_checked_rows(mask))
    else:
        array = numpy.asarray(mask, dtype=bool)
        if array.size == 0:
            return []
        if array.ndim != 2:
            raise ValueError("a mask has two dimensions, not %d" % array.ndim)
        corners, partners, labels, inside = _outline_of_array(numpy, array)
    return _polygons_of_outline(corners, partners, labels, inside)


def _polygons_of_outline(corners, partners, labels, inside):
    """Walk the rings.

    Args:
        corners: (x, y) row by row; corners 2k and 2k + 1 are joined across.
        partners: for each corner the one that it is joined to up or down.
        labels: for each corner the region it belongs to, right if the corner is a ring's first one.
        inside: for each corner whether the pixel to its lower right is True.
    """
    polygons = {}
    seen = bytearray(len(corners))
    for first in range(len(corners)):
        if seen[first]:
            continue
        ring = []
        corner = first
        while not seen[corner]:
            down = partners[corner]
            seen[corner] = seen[down] = 1
            ring.append(corners[corner])
            ring.append(corners[down])
            corner = down ^ 1
        ring.append(corners[first])
        if inside[first]:
            polygons[labels[first]] = (ring, [])  # regions start above their holes
        else:
            polygons[labels[first]][1].append(ring[::-1])
    return list(polygons.values())


def _outline_of_array(numpy, mask):
    """(corners, partners, labels, inside) of an array; see _polygons_of_outline."""
    height, width = mask.shape
    regions = numpy.full((height + 2, width + 2), -1, dtype=numpy.intp)
    regions[1:-1, 1:-1] = _regions_of_array(numpy, mask)
    padded = regions >= 0
    # The four pixels around each vertex.
    top_left, top_right = padded[:-1, :-1], padded[:-1, 1:]
    low_left, low_right = padded[1:, :-1], padded[1:, 1:]
    diagonal = (top_left == low_right) & (top_right == low_left) & (top_left != top_right)
    turns = (top_left ^ top_right ^ low_left ^ low_right) | diagonal
    y, x = numpy.nonzero(turns)
    double = diagonal[y, x]
    falling = top_left[y, x]  # of a diagonal: top left and lower right are True
    same = numpy.where(
        falling, regions[:-1, :-1][y, x] == regions[1:, 1:][y, x], regions[:-1, 1:][y, x] == regions[1:, :-1][y, x]
    )
    # The left one of a double corner goes up (and its right one down) if they hug top left and lower right.
    left_goes_up = falling != same

    repeats = numpy.where(double, 2, 1)
    origin = numpy.repeat(numpy.arange(len(x)), repeats)
    x, y, double, left_goes_up = x[origin], y[origin], double[origin], left_goes_up[origin]
    is_right = numpy.zeros(len(origin), dtype=bool)
    is_right[1:] = origin[1:] == origin[:-1]
    goes_down = double & (is_right == left_goes_up)
    order = numpy.lexsort((goes_down, y, x))
    partners = numpy.empty(len(order), dtype=numpy.intp)
    partners[order[0::2]] = order[1::2]
    partners[order[1::2]] = order[0::2]

    inside = low_right[y, x]
    labels = numpy.where(inside, regions[1:, 1:][y, x], regions[:-1, 1:][y, x])
    return list(zip(x.tolist(), y.tolist())), partners.tolist(), labels.tolist(), inside.tolist()


def _regions_of_array(numpy, mask):
    """Number the 4-connected regions: the runs of each row, joined to the runs that they touch in the next."""
    height, width = mask.shape
    rows = numpy.zeros((height, width + 1), dtype=bool)
    rows[:, 1:] = mask
    starts = mask & ~rows[:, :-1]
    runs = numpy.cumsum(starts.ravel()).reshape(height, width) - 1
    touching = mask[1:] & mask[:-1]
    # One link for each overlap of two runs: where it starts.
    touching[:, 1:] &= ~(touching[:, :-1] & mask[1:, :-1] & mask[:-1, :-1])
    one, other = runs[:-1][touching], runs[1:][touching]
    parent = numpy.arange(runs[-1, -1] + 1)
    while len(one):
        numpy.minimum.at(parent, numpy.maximum(one, other), numpy.minimum(one, other))
        while True:
            grand = parent[parent]
            if numpy.array_equal(grand, parent):
                break
            parent = grand
        one, other = parent[one], parent[other]
        apart = one != other
        one, other = one[apart], other[apart]
    regions = numpy.full(mask.shape, -1, dtype=numpy.intp)
    regions[mask] = parent[runs[mask]]
    return regions


def _checked_rows(mask):
    rows = [[bool(pixel) for pixel in row] for row in mask]
    if len({len(row) for row in rows}) > 1:
        raise ValueError("the rows of a mask have one length")
    return rows if rows and rows[0] else []


def _outline_of_rows(rows):
    """(corners, partners, labels, inside) of nested lists; see _polygons_of_outline."""
    regions = _regions_of_rows(rows)  # with a border of -1
    corners, labels, inside, columns = [], [], [], {}
    for y in range(len(regions) - 1):
        above, below = regions[y], regions[y + 1]
        for x in range(len(above) - 1):
            top_left, top_right, low_left, low_right = above[x], above[x + 1], below[x], below[x + 1]
            count = (top_left >= 0) + (top_right >= 0) + (low_left >= 0) + (low_right >= 0)
            falling = top_left >= 0 and low_right >= 0
            if count == 2 and (falling or (top_right >= 0 and low_left >= 0)):
                same = top_left == low_right if falling else top_right == low_left
                first = len(corners)
                vertical = (first, first + 1) if falling != same else (first + 1, first)
            elif count in (1, 3):
                vertical = (len(corners),)
            else:
                continue
            columns.setdefault(x, []).extend(vertical)
            for _ in vertical:
                corners.append((x, y))
                inside.append(low_right >= 0)
                labels.append(low_right if low_right >= 0 else top_right)
    partners = [0] * len(corners)
    for column in columns.values():
        for upper, lower in zip(column[0::2], column[1::2]):
            partners[upper], partners[lower] = lower, upper
    return corners, partners, labels, inside


def _regions_of_rows(rows):
    """Number the 4-connected regions, in a grid with a border of -1."""
    width = len(rows[0]) + 2 if rows else 0
    regions = [[-1] * width] + [[-1] + [0 if pixel else -1 for pixel in row] + [-1] for row in rows] + [[-1] * width]
    number = 0
    for y, row in enumerate(regions):
        for x, region in enumerate(row):
            if region != 0:
                continue
            number += 1
            row[x] = number
            waiting = [(y, x)]
            while waiting:
                v, u = waiting.pop()
                for q, p in ((v - 1, u), (v + 1, u), (v, u - 1), (v, u + 1)):
                    if regions[q][p] == 0:
                        regions[q][p] = number
                        waiting.append((q, p))
    return regions
