# Deep CORAL (Sun and Saenko, 2016, arXiv:1607.01719) on the features of pixels.
_base_ = ['./segformer_mitb3_artefact-erm-balanced.py']

model = dict(dg=[dict(type='CORALPenalty', mode='marginal', weight=1.0)])
custom_hooks = [*_base_.custom_hooks, dict(type='DomainPenaltyHook')]
