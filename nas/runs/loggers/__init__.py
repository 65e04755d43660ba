"""What follows a run beside its own record: TensorBoard, W&B, MLflow, callbacks of Ray Tune's form."""
