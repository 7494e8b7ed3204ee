"""Labelled videos for fine-tuning, in the layouts that the published model was trained on."""
from .a2d_sentences import A2dSentences
from .refer_youtube_vos import ReferYoutubeVos

DATASETS = {"refer-youtube-vos": ReferYoutubeVos, "a2d-sentences": A2dSentences}
