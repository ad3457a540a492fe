"""Programs as people write them in NumPy: curves, regressions, mixtures, an ODE fitted to data, Newton's method."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import scalargrad as sg
from scalargrad import elementwise_grad, grad, hessian, jacobian, value_and_grad

RNG = np.random.default_rng(3)


def test_a_curve_and_its_derivatives() -> None:
    def logistic(x: Any) -> Any:
        return 1.0 / (1.0 + np.exp(-x))

    x = np.linspace(-4.0, 4.0, 17)
    s = logistic(x)
    first, second = s * (1.0 - s), s * (1.0 - s) * (1.0 - 2.0 * s)
    assert elementwise_grad(logistic)(x) == pytest.approx(first, rel=1e-13)
    assert elementwise_grad(elementwise_grad(logistic))(x) == pytest.approx(second, rel=1e-12, abs=1e-15)
    assert sg.compile(elementwise_grad(logistic))(x).tolist() == elementwise_grad(logistic)(x).tolist()
    assert [grad(logistic)(t) for t in x] == elementwise_grad(logistic)(x).tolist()  # np.float64 by np.float64


def test_a_series_that_ends_where_its_terms_are_small() -> None:
    def cosine(x: Any) -> Any:
        term = total = 1.0
        for k in range(1, 100):
            term = -term * x**2 / ((2 * k - 1) * (2 * k))
            total = total + term
            if np.abs(term) < 1e-17:
                break
        return total

    for x in np.linspace(-3.0, 3.0, 7):
        assert grad(cosine)(x) == pytest.approx(-np.sin(x), abs=1e-14)
        assert grad(grad(cosine))(x) == pytest.approx(-np.cos(x), abs=1e-13)


INPUTS = RNG.normal(size=(12, 3))
TARGETS = INPUTS @ np.array([1.5, -2.0, 0.5]) > 0.1


def logistic_loss(weights: Any) -> Any:
    predictions = 0.5 * (np.tanh(np.dot(INPUTS, weights)) + 1.0)
    return -np.sum(np.log(predictions * TARGETS + (1 - predictions) * (1 - TARGETS)))


def test_logistic_regression_by_gradient_descent() -> None:
    fast = sg.compile(grad(logistic_loss))
    weights = np.zeros(3)
    start = logistic_loss(weights)
    exact = INPUTS.T @ (np.tanh(INPUTS @ weights) + 1.0 - 2.0 * TARGETS)
    assert grad(logistic_loss)(weights) == pytest.approx(exact, rel=1e-12)
    for _ in range(50):
        gradient = fast(weights)
        assert gradient.tolist() == grad(logistic_loss)(weights).tolist()
        weights -= 0.05 * gradient
    assert logistic_loss(weights) < 0.35 * start


def log_likelihood(params: Any, data: Any) -> Any:
    """Of a mixture of normal distributions, in two dimensions."""
    logits = params["logits"]
    weights = logits - np.logaddexp.reduce(logits)
    terms = []
    for weight, mean, root in zip(weights, params["means"], params["roots"], strict=True):
        covariance = root @ root.T + 0.1 * np.eye(2)
        away = data - mean
        squares = np.sum(away * np.linalg.solve(covariance, away.T).T, axis=1)
        terms.append(weight - 0.5 * (squares + np.linalg.slogdet(covariance)[1] + 2.0 * np.log(2.0 * np.pi)))
    return np.sum(np.logaddexp.reduce(np.vstack(terms), axis=0))


def test_a_mixture_of_normal_distributions() -> None:
    data = np.concatenate([RNG.normal(-1.0, 0.3, (5, 2)), RNG.normal(1.0, 0.5, (5, 2))])
    params = {"logits": np.zeros(2), "means": RNG.normal(size=(2, 2)), "roots": np.array([np.eye(2), 0.5 * np.eye(2)])}
    fast = sg.compile(value_and_grad(log_likelihood))
    values = []
    for _ in range(12):
        value, gradient = fast(params, data)
        values.append(value)
        params = {name: params[name] + 0.02 * gradient[name] for name in params}
    assert values == sorted(values)
    value, gradient = value_and_grad(log_likelihood)(params, data)
    assert value == pytest.approx(log_likelihood(params, data), rel=1e-12)
    assert gradient["roots"].shape == (2, 2, 2)
    assert gradient["logits"].sum() == pytest.approx(0.0, abs=1e-11)  # equal logits are weights as they were
    again = fast(params, data)
    assert again[0] == value
    assert all(again[1][name].tolist() == gradient[name].tolist() for name in params)


def network(y: Any, layers: Any) -> Any:
    for weights, bias in layers[:-1]:
        y = np.maximum(0.0, np.dot(y, weights) + bias)
    weights, bias = layers[-1]
    return np.dot(y, weights) + bias


def trajectory(layers: Any, start: Any, times: Any) -> Any:
    y, found = start, [start]
    for a, b in pairwise(times):
        h = b - a
        k1 = network(y, layers)
        k2 = network(y + 0.5 * h * k1, layers)
        y = y + h * k2
        found.append(y)
    return np.stack(found)


def test_an_ode_with_a_network_fitted_to_a_trajectory() -> None:
    times = np.linspace(0.0, 1.0, 5)
    target = np.stack([np.cos(times), -np.sin(times)], axis=1)
    layers = [(RNG.normal(size=(2, 4)), np.zeros(4)), (0.3 * RNG.normal(size=(4, 2)), np.zeros(2))]

    def loss(layers: Any) -> Any:
        return np.mean(np.abs(trajectory(layers, target[0], times) - target))

    first = value_and_grad(loss)(layers)
    fast = sg.compile(value_and_grad(loss))
    assert repr(fast(layers)) == repr(first)
    for _ in range(30):
        gradient = fast(layers)[1]
        layers = [
            tuple(p - 0.05 * g for p, g in zip(*pair, strict=True)) for pair in zip(layers, gradient, strict=True)
        ]
    assert loss(layers) < 0.7 * first[0]


def test_newtons_method_for_a_system_and_for_a_minimum() -> None:
    def system(x: Any) -> Any:
        return np.array([x[0] ** 2 + x[1] ** 2 - 4.0, np.exp(x[0]) + x[1] - 1.0])

    slope = sg.compile(jacobian(system))
    x = np.array([1.0, -1.5])
    for _ in range(8):
        x = x - np.linalg.solve(slope(x), system(x))
    assert np.abs(system(x)).max() < 1e-14

    def valley(x: Any) -> Any:
        return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)

    first, second = sg.compile(grad(valley)), sg.compile(hessian(valley))
    x = np.full(4, 1.1)
    for _ in range(8):
        x = x - np.linalg.solve(second(x), first(x))
    assert x == pytest.approx(np.ones(4), abs=1e-12)
