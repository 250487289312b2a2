# Group DRO (Sagawa et al., ICLR 2020, arXiv:1911.08731).
_base_ = ['./segformer_mitb3_artefact-erm-balanced.py']

model = dict(dg=[dict(type='GroupDROPenalty', weight=1.0, step=0.01)])
custom_hooks = [*_base_.custom_hooks, dict(type='DomainPenaltyHook')]
