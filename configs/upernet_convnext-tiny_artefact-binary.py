# Clean against Damage.
_base_ = ['./upernet_convnext-tiny_artefact.py']

level = 'binary'
num_classes = 2
