# UPerNet with classifiers for Clean/Damage, groups of damage and damage classes.
_base_ = ['./upernet.py']

model = dict(
    decode_head=dict(
        type='HierarchicalUPerHead',
        levels=dict(binary='binary', coarse='coarse'),
        mode='marginal',  # how the levels inform each other: or 'independent', 'conditional'
        # The binary and the coarse level help; fine=0.5 trains the classes at half the weight.
        level_weights=dict(binary=0.2, coarse=0.3, fine=1.0)))
