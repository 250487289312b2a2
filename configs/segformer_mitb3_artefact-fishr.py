# Fishr (Rame et al., ICML 2022, arXiv:2109.02934); 4 images of a domain are few for sample='image'.
_base_ = ['./segformer_mitb3_artefact-erm-balanced.py']

model = dict(
    dg=[dict(type='FishrPenalty', sample='image', decay=0.95, weight=1000.0, anneal=0.3)])
custom_hooks = [*_base_.custom_hooks, dict(type='DomainPenaltyHook')]
