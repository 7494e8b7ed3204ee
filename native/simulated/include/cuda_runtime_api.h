// The simulated runtime has one header.
#pragma once

#include "cuda_runtime.h"
