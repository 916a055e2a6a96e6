"""Writes tests/data/probes.json: what scikit-learn learns from three of the data sets it brings, and from diabetes.

Every case holds points, labels, and for each strength the weights ([width + 1, outputs], intercepts last) of a
regression on standardised points, run until nothing moves, and which labels five folds (row mod 5) predict.
"""

import json
import pathlib

import numpy
from sklearn.datasets import load_diabetes, load_digits, load_iris, load_wine
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

OUT = pathlib.Path(__file__).parents[1] / "data" / "probes.json"
FOLDS = 5


def rounded(values, digits=6):
    return numpy.round(values, digits).tolist()


def fitted(points, labels, strength):
    if labels.dtype.kind == "f":
        return Ridge(alpha=1 / strength, solver="cholesky").fit(points, labels)
    return LogisticRegression(C=strength, tol=1e-10, max_iter=100000).fit(points, labels)


def fit(points, labels, strength):
    model = fitted(StandardScaler().fit_transform(points), labels, strength)
    weights = numpy.vstack([numpy.atleast_2d(model.coef_).T, numpy.atleast_1d(model.intercept_)[None]])
    predicted = numpy.zeros(len(labels), labels.dtype)
    for fold in range(FOLDS):
        held = numpy.arange(len(labels)) % FOLDS == fold
        scaler = StandardScaler().fit(points[~held])
        part = fitted(scaler.transform(points[~held]), labels[~held], strength)
        predicted[held] = part.predict(scaler.transform(points[held]))
    return {"strength": strength, "weights": rounded(weights), "predicted": rounded(predicted, 4)}


def case(name, points, labels, strengths):
    points = numpy.asarray(points, numpy.float32).astype(numpy.float64)
    shown = [[float(str(numpy.float32(value))) for value in row] for row in points]
    return {
        "name": name,
        "points": [[int(value) if value == int(value) else value for value in row] for row in shown],
        "labels": labels.tolist(),
        "fits": [fit(points, labels, strength) for strength in strengths],
    }


def main():
    iris, wine, digits, diabetes = load_iris(), load_wine(), load_digits(), load_diabetes(scaled=False)
    two = iris.target > 0
    cases = [
        case("iris", iris.data, iris.target, [0.01, 1.0, 100.0]),
        case("iris, two classes", iris.data[two], iris.target[two] - 1, [0.01, 1.0, 100.0]),
        case("wine", wine.data, wine.target, [0.01, 1.0, 100.0]),
        case("digits", digits.data[:250], digits.target[:250], [0.01, 1.0]),
        case("diabetes", diabetes.data, diabetes.target, [0.01, 1.0, 100.0]),
    ]
    OUT.write_text(json.dumps({"cases": cases}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
