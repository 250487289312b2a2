# Second baseline: every material equally often, in batches of 8 materials with 4 images each.
_base_ = ['./segformer_mitb3_artefact-erm-natural.py']

train_dataloader = dict(
    sampler=dict(_delete_=True, type='DomainBatchSampler', domains_per_batch=8,
                 images_per_domain=4))
