"""The classes of Keras that a model may consist of. Each only computes: none reads a file or runs code.

Keras' own safe mode is not enough. It refuses Lambda layers, but its other layers read any file or address
that a configuration names (`StringLookup(vocabulary=…)`, CVE-2025-12058), load other models (`TFSMLayer`) or
unpickle (`TorchModuleWrapper`), and functions of Keras can be called by name (CVE-2025-8747, CVE-2025-9906).
"""

_LAYERS = """
    Activation ELU LeakyReLU PReLU ReLU Softmax
    Add Average Concatenate Dot Maximum Minimum Multiply Subtract
    AdaptiveAveragePooling2D AdaptiveMaxPooling2D AveragePooling1D AveragePooling2D
    GlobalAveragePooling1D GlobalAveragePooling2D GlobalMaxPooling1D GlobalMaxPooling2D
    MaxPooling1D MaxPooling2D
    BatchNormalization GroupNormalization LayerNormalization Normalization RMSNormalization UnitNormalization
    CenterCrop Cropping1D Cropping2D Rescaling Resizing UpSampling1D UpSampling2D ZeroPadding1D ZeroPadding2D
    Conv1D Conv2D Conv2DTranspose DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D
    ActivityRegularization AlphaDropout Dropout GaussianDropout GaussianNoise
    SpatialDropout1D SpatialDropout2D
    Attention Dense EinsumDense Embedding MultiHeadAttention
    Flatten Identity InputLayer Permute RepeatVector Reshape
    RandomBrightness RandomContrast RandomCrop RandomFlip RandomRotation RandomTranslation RandomZoom
"""
_INITIALIZERS = """
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer
    LecunNormal LecunUniform
    Ones Orthogonal OrthogonalInitializer RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros
"""
#: What arithmetic between layers becomes, as in MobileNetV3.
_ARITHMETIC = """
    Add Clip Concatenate Divide ExpandDims Max Maximum Mean Minimum Multiply Reshape Sqrt Squeeze Subtract Sum
    Transpose TrueDivide
"""
_ACTIVATIONS = "Gelu HardSigmoid HardSwish LeakyRelu LogSoftmax Relu Relu6 Sigmoid Silu Softmax"

#: Classes by the module that a configuration names.
_ALLOWED = {
    "keras": frozenset({"DTypePolicy", "Sequential"}),
    "keras.constraints": frozenset({"MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"}),
    "keras.initializers": frozenset(_INITIALIZERS.split()),
    "keras.layers": frozenset(_LAYERS.split()),
    "keras.regularizers": frozenset({"L1", "L1L2", "L2", "OrthogonalRegularizer"}),
    "keras.src.applications.convnext": frozenset({"LayerScale"}),
    "keras.src.applications.inception_resnet_v2": frozenset({"CustomScaleLayer"}),
    "keras.src.models.functional": frozenset({"Functional"}),
    "keras.src.models.sequential": frozenset({"Sequential"}),
    "keras.src.ops.nn": frozenset(_ACTIVATIONS.split()),
    "keras.src.ops.numpy": frozenset(_ARITHMETIC.split()),
}
#: A description of a tensor, the only object without a module.
_TENSOR = "__keras_tensor__"
#: The models that a file may hold.
_MODELS = frozenset({"Functional", "Sequential"})
#: Classes whose configuration is Python code or the name of a function.
_CODE = frozenset({"Lambda", "__lambda__", "function"})


def is_model(class_name: object) -> bool:
    """Whether a class is a whole network: a graph or a sequence of layers."""
    return isinstance(class_name, str) and class_name in _MODELS


def is_allowed(class_name: object, module: object, registered: object) -> bool:
    """Whether a model may have an object of this class.

    Keras looks a class up by the first of `registered`, the name of a class of other packages, and `module`.
    Without a module it reads an old format, which knows no safe mode.
    """
    if not isinstance(class_name, str) or registered not in (None, class_name):
        return False
    if class_name == _TENSOR:
        return module is None
    return isinstance(module, str) and class_name in _ALLOWED.get(module, ())


def is_code(class_name: object, module: object, registered: object) -> bool:
    """Whether a class that is not allowed is code of the file's author, not a class of Keras."""
    if class_name in _CODE if isinstance(class_name, str) else True:
        return True
    # Keras registers some of its own classes too, but without a package in the name.
    return not f"{module}.".startswith("keras.") or registered not in (None, class_name)
