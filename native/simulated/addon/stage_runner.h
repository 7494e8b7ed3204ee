// Stages run by a function of JavaScript: `setStageRunner(run)`, with
// run({ engine, profile, inputs: { name: StageTensor } }) → { name: StageTensor } or a promise of it.
#pragma once

#include <napi.h>

#include <memory>

#include "../../tensorrt/engines/stage.h"

namespace rvos::tensorrt {
class RuntimeState;
}

namespace rvos::simulated {

/// The loader of one environment; stages are run by the function given last.
std::shared_ptr<tensorrt::StageLoader> createStageLoader(tensorrt::RuntimeState& state);

Napi::Value setStageRunner(const Napi::CallbackInfo& info);

}  // namespace rvos::simulated
