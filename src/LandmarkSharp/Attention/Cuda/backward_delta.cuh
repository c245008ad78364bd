// What every backward pass begins with, for each row of queries. Includes nothing: T and D are the kernel's that includes it.
#ifndef LANDMARK_BACKWARD_DELTA
#define LANDMARK_BACKWARD_DELTA

// Rows of the output and of its gradient; strides in elements.
struct Rows {
    long long count, outBatch, outHead, outPosition, gradientBatch, gradientHead, gradientPosition;
    int heads, queries;
};

// delta = rowsum(dO * O), less the gradient of the gate's log-sum (to the base e) if there is one; a warp a row.
extern "C" __global__ void landmark_delta(
    const T *__restrict__ out, const T *__restrict__ gradient, const float *__restrict__ logSumGradient, float *__restrict__ delta,
    const __grid_constant__ Rows rows)
{
    const long long row = blockIdx.x * 8ll + threadIdx.x / kWarp;
    if (row >= rows.count) return;
    const int t = row % rows.queries, head = row / rows.queries % rows.heads, batch = row / rows.queries / rows.heads;
    out += batch * rows.outBatch + head * rows.outHead + t * rows.outPosition;
    gradient += batch * rows.gradientBatch + head * rows.gradientHead + t * rows.gradientPosition;
    float sum = 0;
    for (int i = lane_index(); i < D; i += kWarp) sum = multiply_add(to_float(out[i]), to_float(gradient[i]), sum);
    sum = warp_sum(sum);
    if (lane_index() == 0) delta[row] = logSumGradient ? sum - logSumGradient[row] : sum;
}

#endif
