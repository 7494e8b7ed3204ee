// See pipeline_slot.h.
#include "pipeline_slot.h"

#include "batch_inputs.h"

namespace rvos::tensorrt {

PipelineSlot::PipelineSlot(const PipelineLimits& limits, const PipelineEngines& engines,
                           const Normalisation& normalisation, StreamTails& tails, StageGraphs::Note note)
    : memory_(limits),
      source_(memory_, normalisation),
      tails_(tails),
      timer_(memory_.stream),
      network_(memory_, engines, std::move(note)),
      upload_(memory_, source_, tails, timer_),
      masks_(memory_, source_, timer_) {}

PipelineSlot::~PipelineSlot() { memory_.stream.drain(); }

BatchResult PipelineSlot::run(const BatchRequest& batch, const std::vector<TailTurn>& turns) {
  bool uploading = false;
  try {
    timer_.restart();
    source_.prepare(batch.source);
    const Pass pass = batch.sentences.empty() ? Pass{} : passFrom(memory_.limits, batch, 0);
    timer_.measure("upload", [&] { uploadBatchInputs(memory_, batch, pass); });
    uploading = true;
    upload_.run(batch, turns);
    BatchResult result = runNetwork(batch, pass);
    memory_.stream.synchronize();
    result.times = timer_.times();
    return result;
  } catch (...) {
    if (!uploading) {
      for (const TailTurn& turn : turns) tails_.skip(turn);
    }
    // The caller's memory and the slot's are free to be used again.
    memory_.stream.drain();
    throw;
  }
}

BatchResult PipelineSlot::runNetwork(const BatchRequest& batch, const Pass& firstPass) {
  BatchResult result;
  result.objectQueries.resize(batch.sentences.size());
  if (batch.sentences.empty()) return result;
  const Form form = formOf(memory_.limits, batch);
  const int windows = static_cast<int>(batch.windows.size());
  const bool gathered = !keepsAll(batch);
  const Form kept = gathered ? Form::Short : form;
  timer_.measure("backbone", [&] { network_.backbone(form, windows); });
  if (gathered) timer_.measure("transformer", [&] { network_.gather(form, windows, batch.keep); });
  for (Pass pass = firstPass;;) {
    timer_.measure("transformer",
                   [&] { network_.transformer(kept, gathered, windows, pass.sentences, pass.tokens); });
    masks_.run(batch, pass, kept, result.objectQueries);
    const size_t next = pass.first + pass.sentences;
    if (next >= batch.sentences.size()) return result;
    pass = passFrom(memory_.limits, batch, next);
    timer_.measure("upload", [&] { uploadPassInputs(memory_, batch, pass); });
  }
}

}  // namespace rvos::tensorrt
