# Clean against Damage.
_base_ = ['./upernet_maxvit-tiny_artefact.py']

level = 'binary'
num_classes = 2
