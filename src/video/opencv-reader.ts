import { RvosError } from '../errors.js';
import type { OpenVideoOptions, VideoReader } from './frame.js';

export const OpencvReader = {
  async open(_path: string, _name: string, _options: OpenVideoOptions): Promise<VideoReader> {
    throw new RvosError('OPENCV_MISSING', 'the package @u4/opencv4nodejs is not installed', 'Use --decoder ffmpeg.');
  },
};
