# Invariant risk minimization (Arjovsky et al., 2019, arXiv:1907.02893).
_base_ = ['./segformer_mitb3_artefact-erm-balanced.py']

model = dict(dg=[dict(type='IRMPenalty', weight=100.0, anneal=0.1, first_weight=1.0)])
custom_hooks = [*_base_.custom_hooks, dict(type='DomainPenaltyHook')]
