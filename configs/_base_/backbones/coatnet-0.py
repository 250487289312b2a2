# CoAtNet-0 (Dai et al., NeurIPS 2021, arXiv:2106.04803), convolution stages, then attention.

# A config takes its parts: model, and batch and learning rate for one process with a large GPU (the
# rate follows the batch: 0.001 for 96 images).
encoder = dict(
    batch_size=96,
    lr=0.001,
    model=dict(
        data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
        backbone=dict(type='TimmBackboneAdapter', model_name='coatnet_0_rw_224',
                      img_size=224, out_indices='all')))
