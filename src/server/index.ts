/** What users of `rvos/server` import. */
export {
  type Deadline,
  type FrameSize,
  SegmentationService,
  type ServiceOptions,
  type ServiceState,
} from './segmentation-service.js';
