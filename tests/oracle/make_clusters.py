"""Writes tests/data/clusters.json: what scikit-learn makes of small clouds of points.

Every case is a cloud, the rows it begins with as centres, and labels, centres, inertia and silhouette as
KMeans (Lloyd, one start, until no label changes) and silhouette_score give them for float64 points.
"""

import json
import pathlib

import numpy
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

OUT = pathlib.Path(__file__).parents[1] / "data" / "clusters.json"


def cloud(seed, groups, rows, width, spread):
    random = numpy.random.default_rng(seed)
    middles = random.normal(0, 1, (groups, width))
    return (middles[random.integers(0, groups, rows)] + random.normal(0, spread, (rows, width))).astype(numpy.float32)


def case(name, points, centres, iterations=300):
    points = numpy.round(points, 4).astype(numpy.float32)
    wide = points.astype(numpy.float64)
    begin = numpy.asarray(centres, numpy.float64) if numpy.ndim(centres) == 2 else wide[list(centres)]
    found = KMeans(len(begin), init=begin, n_init=1, tol=0, max_iter=iterations, algorithm="lloyd").fit(wide)
    groups = len(set(found.labels_))
    return {
        "name": name,
        "points": [[float(str(value)) for value in row] for row in points],
        "begin": begin.tolist(),
        "max_iterations": iterations,
        "labels": found.labels_.tolist(),
        "centres": found.cluster_centers_.tolist(),
        "inertia": float(found.inertia_),
        "silhouette": float(silhouette_score(wide, found.labels_)) if 1 < groups < len(points) else None,
    }


def main():
    blobs, fog = cloud(1, 4, 90, 3, 0.2), cloud(2, 3, 120, 11, 1.0)
    cases = [
        case("apart", blobs, [0, 1, 2, 3]),
        case("overlapping", fog, [5, 17, 40, 41, 77]),
        case("stopped early", fog, [5, 17, 40, 41, 77], 2),
        case("one", blobs, [8]),
        case("as many as rows", blobs[:7], range(7)),
        case("a centre that loses all rows", blobs, numpy.vstack([blobs[:3].astype(float), numpy.full((1, 3), 50.0)])),
        case("far from zero", blobs + numpy.float32(3000), [0, 1, 2, 3]),
    ]
    OUT.write_text(json.dumps({"cases": cases}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
