# The ARTeFACT folder layout: images/, annotations/, metadata.csv (docs in the README).
# A variable that an inheriting config or --cfg-options sets is carried into the fields that
# `dataset_variables` lists beside its default (mmseg_heritage/runs/load_config.py).
data_root = 'data/artefact'
split_file = ''  # split manifest (JSON) below data_root; empty: the default split by source object
level = 'fine'  # classes: 'fine' (16), 'coarse' (4, num_classes=4) or 'binary' (2, num_classes=2)
crop_size = 384  # side of the training crops in pixels
augmentation = 'medium'  # none, light, medium, heavy, heritage or film_damage
rare_class_prob = 0.0  # share of training crops that are placed on a rare class, such as 0.5
batch_size = 32  # for one process; with n processes the global batch is n times this
global_batch_size = None  # for all processes together: sets batch_size to its share
num_workers = 4
cache = 'none'  # decoded images of training and validation: 'none', 'ram' (once per machine) or 'disk'
cache_dir = ''  # folder of cache='disk'; empty: data_root/cache
max_edge = 1024  # whole images are shrunk to this long edge for validation and test

meta_keys = ('img_path', 'seg_map_path', 'ori_shape', 'img_shape', 'pad_shape', 'scale_factor',
             'flip', 'flip_direction', 'reduce_zero_label', 'sample_id', 'group', 'material',
             'content')
train_pipeline = [
    dict(type='LoadHeritageImage'),
    dict(type='LoadARTeFACTAnnotations'),
    dict(type='RareClassCrop', size=crop_size, max_ignore=0.75, rare_class_prob=rare_class_prob),
    dict(type='HeritageAugmentation', tier=augmentation),
    dict(type='PackSegInputs', meta_keys=meta_keys),
]
# The ground truth is loaded after the image is shrunk: scores are counted on original pixels.
test_pipeline = [
    dict(type='LoadHeritageImage'),
    dict(type='LimitLongEdge', max_edge=max_edge),
    dict(type='LoadARTeFACTAnnotations'),
    dict(type='PackSegInputs', meta_keys=meta_keys),
]

train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='ARTeFACTDataset', data_root=data_root, ann_file=split_file, split='train',
                 level=level, cache=cache, cache_dir=cache_dir, pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=num_workers,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ARTeFACTDataset', data_root=data_root, ann_file=split_file, split='val',
                 level=level, cache=cache, cache_dir=cache_dir, test_mode=True,
                 pipeline=test_pipeline))
test_dataloader = dict(
    batch_size=1,
    num_workers=num_workers,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ARTeFACTDataset', data_root=data_root, ann_file=split_file, split='test',
                 level=level, test_mode=True, pipeline=test_pipeline))
val_evaluator = dict(type='ConfusionMetric')
test_evaluator = dict(type='ConfusionMetric')

dataset_variables = dict(
    data_root=(data_root, ['train_dataloader.dataset.data_root', 'val_dataloader.dataset.data_root',
                           'test_dataloader.dataset.data_root']),
    split_file=(split_file, ['train_dataloader.dataset.ann_file', 'val_dataloader.dataset.ann_file',
                             'test_dataloader.dataset.ann_file']),
    level=(level, ['train_dataloader.dataset.level', 'val_dataloader.dataset.level',
                   'test_dataloader.dataset.level']),
    crop_size=(crop_size, ['train_dataloader.dataset.pipeline.2.size']),
    rare_class_prob=(rare_class_prob, ['train_dataloader.dataset.pipeline.2.rare_class_prob']),
    augmentation=(augmentation, ['train_dataloader.dataset.pipeline.3.tier']),
    batch_size=(batch_size, ['train_dataloader.batch_size']),
    num_workers=(num_workers, ['train_dataloader.num_workers', 'val_dataloader.num_workers',
                               'test_dataloader.num_workers']),
    cache=(cache, ['train_dataloader.dataset.cache', 'val_dataloader.dataset.cache']),
    cache_dir=(cache_dir, ['train_dataloader.dataset.cache_dir',
                           'val_dataloader.dataset.cache_dir']),
    max_edge=(max_edge, ['val_dataloader.dataset.pipeline.1.max_edge',
                         'test_dataloader.dataset.pipeline.1.max_edge']))
