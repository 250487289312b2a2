# UPerNet with classifiers for Clean/Damage, groups of damage and damage classes.
_base_ = ['./upernet.py']

mode = 'marginal'  # how the levels inform each other: 'independent', 'marginal' or 'conditional'
# The binary and the coarse level help; fine=0.5 trains the classes at half the weight.
level_weights = dict(binary=0.2, coarse=0.3, fine=1.0)

model = dict(
    decode_head=dict(
        type='HierarchicalUPerHead',
        levels=dict(binary='binary', coarse='coarse'),
        mode=mode,
        level_weights=level_weights))

hierarchy_variables = dict(
    mode=(mode, ['model.decode_head.mode']),
    level_weights=(level_weights, ['model.decode_head.level_weights']))
