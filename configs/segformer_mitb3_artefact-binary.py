# Clean against Damage.
_base_ = ['./segformer_mitb3_artefact.py']

level = 'binary'
num_classes = 2
