// The public interface of layerscope, whole.
#pragma once

#include "layerscope/error.h"
#include "layerscope/hub.h"
#include "layerscope/labels.h"
#include "layerscope/model.h"
#include "layerscope/tap.h"
#include "layerscope/tensor.h"
