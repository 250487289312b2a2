# The ARTeFACT data set, or any other in its folder layout (docs/reference/data-format.md).
#
# Training draws each sample, crops and augmentation included, from a seed of its own: NumberedSampler
# gives the place in the run, ARTeFACTDataset seeds by it, so that a resumed run sees what the unbroken
# one would have seen.
__meta_keys = ('img_path', 'seg_map_path', 'ori_shape', 'img_shape', 'pad_shape', 'scale_factor',
               'flip', 'flip_direction', 'reduce_zero_label', 'sample_id', 'group', 'material',
               'content', 'domain')
# mmcv's own loading step with a reader for photographs of every kind, under the type that mmseg's
# inferencers look for. Nothing is resized here: model.inference says at which sizes the network
# looks at a photograph. A photograph that is predicted has no labels.
test_pipeline = [
    dict(type='LoadImageFromFile', backend_args=dict(backend='mmseg_heritage.photographs')),
    dict(type='LoadARTeFACTAnnotations'),
    dict(type='PackSegInputs', meta_keys=__meta_keys),
]

train_dataloader = dict(
    batch_size=32,  # of one process; with n processes a step takes n times as many
    num_workers=4,
    persistent_workers=True,
    worker_init_fn=dict(type='ignore_preemption_signals'),
    sampler=dict(type='NumberedSampler', shuffle=True),
    collate_fn=dict(type='stacked_collate'),  # a batch goes to the device as two tensors of bytes
    dataset=dict(
        type='ARTeFACTDataset',
        data_root='data/artefact',
        ann_file='',  # split manifest (JSON) below data_root; '' is the default split by source object
        split='train',
        level='fine',  # or 'coarse' or 'binary', with as many classes in the heads
        cache='auto',  # decoded images: 'ram' (once per machine), 'disk', 'none', or where there is room
        cache_dir='',  # folder of a cache on disk; '' is data_root/cache
        pipeline=[
            dict(type='LoadHeritageImage'),
            dict(type='LoadARTeFACTAnnotations'),
            dict(type='RareClassCrop', size=384, max_ignore=0.75, rare_class_prob=0.0,
                 native_prob=0.0),
            dict(type='HeritageAugmentation', tier='medium'),
            dict(type='PackSegInputs', meta_keys=__meta_keys),
        ]))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    worker_init_fn=dict(type='ignore_preemption_signals'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ARTeFACTDataset', data_root='data/artefact', ann_file='', split='val', level='fine',
        cache='auto', cache_dir='', test_mode=True,
        # Validation is cheaper than the test: it sees photographs shrunk. Labels are loaded after
        # that, so that its scores are of original pixels too.
        pipeline=[dict(type='LoadHeritageImage'),
                  dict(type='LimitLongEdge', max_edge=1024),
                  *test_pipeline[1:]]))
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ARTeFACTDataset', data_root='data/artefact', ann_file='', split='test', level='fine',
        test_mode=True, pipeline=test_pipeline))
val_evaluator = dict(type='ConfusionMetric')
test_evaluator = dict(type='ConfusionMetric')

# mmseg's test.py --tta: the image, its mirror image, and both at three quarters of the size.
tta_pipeline = [
    test_pipeline[0],
    dict(
        type='TestTimeAug',
        transforms=[[dict(type='Resize', scale_factor=factor, keep_ratio=True)
                     for factor in (1.0, 0.75)],
                    [dict(type='RandomFlip', prob=prob, direction='horizontal')
                     for prob in (0.0, 1.0)],
                    [dict(type='LoadARTeFACTAnnotations')],
                    [dict(type='PackSegInputs', meta_keys=__meta_keys)]]),
]
tta_model = dict(type='HeritageTTAModel')
