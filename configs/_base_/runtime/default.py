default_scope = 'mmseg'
custom_imports = dict(imports=['mmseg_heritage.plugin'], allow_failed_imports=False)

default_hooks = dict(
    runtime_info=dict(type='DeferredRuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=10, log_metric_by_epoch=True),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='WholeCheckpointHook', by_epoch=True, interval=1, max_keep_ckpts=2,
                    save_best='mIoU', rule='greater'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    class_frequency=dict(type='ClassFrequencyHook'),
    nan_loss=dict(type='NanLossHook'),
    throughput=dict(type='ThroughputHook'),
    preemption=dict(type='PreemptionHook'),
    visualization=dict(type='SegVisualizationHook', interval=1))  # draws for mmseg's --show-dir only
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))
randomness = dict(seed=42)
# <work_dir>/<time>/vis_data/scalars.json and scalars.csv. Others are mmengine's, by their name:
# dict(type='TensorboardVisBackend') (pip install tensorboard future), dict(type='MLflowVisBackend',
# exp_name='artefact'), dict(type='WandbVisBackend', init_kwargs=dict(project='artefact')), ...
visualizer = dict(  # no name: one for each run
    type='SegLocalVisualizer',
    vis_backends=[dict(type='LocalVisBackend'), dict(type='CsvVisBackend')])
log_processor = dict(by_epoch=True, window_size=10)
log_level = 'INFO'
load_from = None
resume = False
