// Everything that observes activations, and the ranges that follow.
#pragma once

#include <quant/calibrate/clipping.hpp>
#include <quant/calibrate/histogram_observer.hpp>
#include <quant/calibrate/min_max_observer.hpp>
