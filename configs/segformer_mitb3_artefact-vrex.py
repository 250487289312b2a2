# Variance of the risks of domains, V-REx (Krueger et al., ICML 2021, arXiv:2003.00688).
_base_ = ['./segformer_mitb3_artefact-erm-balanced.py']

model = dict(dg=[dict(type='VRExPenalty', weight=10.0, anneal=0.1, first_weight=1.0)])
custom_hooks = [*_base_.custom_hooks, dict(type='DomainPenaltyHook')]
